"""Files scored: by a job of the cloud, or on this machine."""

from argparse import Namespace
from collections.abc import Sequence

from deploy import config as configuration
from deploy import package, rollout, terminal
from deploy import plan as plans
from deploy.batch import engine, inputs, orders, scoring
from deploy.batch.collecting import Work
from deploy.plan import Resource
from deploy.sections import Batch
from deploy.verbs import costing, preparing, stages
from deploy.verbs.run import Run, VerbError

JOB_NEEDS = {"image", "runtime", "archive", "model"}


def batch_transform(run: Run, options: Namespace) -> None:
    """Check and count files, have a job score them, or this machine, and count what came back."""
    settings = orders.settings(run.config.batch, vars(options))
    if options.engine:
        _score_here(run, options, settings)
    else:
        _score_by_a_job(run, options, settings)


def _score_by_a_job(run: Run, options: Namespace, settings: Batch) -> None:
    cloud = run.batches
    if package.is_of_another_server(run.code):
        settings = orders.patient(settings)
    source, output = scoring.places(cloud, options.input, options.output)
    scoring.check_output(cloud, output)
    with terminal.working("look at the input"):
        found = inputs.look(cloud, source, settings)
    package.check(run.code, run.model)
    run.target.check(run.config)
    run.quotas.check(run.config, run.billing.scoring(run.config, settings))
    if not stages.took_a_model(run):
        preparing.train(run, options)
    wanted = _for_a_job(stages.desired(run))
    work = scoring.plan(cloud, wanted[-1].name, found, output)
    scoring.tell(work, scoring.score(work, lambda: _prepare(run, work, wanted)))


def _for_a_job(desired: Sequence[Resource]) -> list[Resource]:
    """What a job needs of what an endpoint needs: the image, the archive, and last the model."""
    return [resource for resource in desired if resource.kind in JOB_NEEDS]


def _prepare(run: Run, work: Work, wanted: Sequence[Resource]) -> None:
    """Make the model if it is not there, after a question where a job is billed; nothing else is changed."""
    changes = [c for c in plans.plan(wanted, run.target.observed(run.config)) if c.action == "create"]
    terminal.show_plan(changes)
    if run.live:
        billed = run.billing.scoring(run.config, work.order.settings)
        terminal.line(f"costs      {costing.scoring(run, billed)}")
        machines = work.cloud.transforms.machines(run.config, work.order.settings)
        run.ask(f"Start a transform job on {machines}? It is billed until it ends.")
    rollout.make(run.place, changes)


def _score_here(run: Run, options: Namespace, settings: Batch) -> None:
    archive = run.project / "build" / "model.tar.gz"
    command = engine.command(options.engine, archive, (options.input, options.output), settings)
    if not run.model.is_dir():
        raise VerbError(f"{run.model}: there is no model yet; `make train` makes one")
    stages.packaged(run)
    if status := engine.run(command, configuration.container_environment(run.config)):
        raise VerbError(f"not every file was scored (exit status {status}): see what was printed above")
