"""What a person can ask for: each verb names its stages and leaves the rest to them."""

import importlib
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from deploy import asking, optimizing, package, rollout, terminal, unpack
from deploy import config as configuration
from deploy import plan as plans
from deploy.batch import engine, inputs, orders, scoring
from deploy.batch.cloud import Cloud, Storage, Transforms
from deploy.batch.collecting import Work
from deploy.batch.places import BatchError
from deploy.config import Config
from deploy.latency import LatencyError, measuring
from deploy.package import Archive, variants
from deploy.plan import Resource
from deploy.sections import Batch
from deploy.target import CloudError, Event, Request, Target, Trainings
from deploy.training import jobs, models

if TYPE_CHECKING:
    from deploy import aws, gcp
    from deploy.aws import storage, trainings, transforms
    from deploy.gcp import storage as gcp_storage
    from deploy.gcp import trainings as gcp_trainings
    from deploy.gcp import transforms as gcp_transforms

    # The type checker sees to it that the modules are what they are used as.
    _: Target = aws
    _gcp: Target = gcp
    _trainings: Trainings = trainings
    _gcp_trainings: Trainings = gcp_trainings
    _storage: Storage = storage
    _transforms: Transforms = transforms
    _gcp_storage: Storage = gcp_storage
    _gcp_transforms: Transforms = gcp_transforms

KIT = Path(__file__).resolve().parents[1]
LAUNCHERS = [KIT / "training" / name for name in ("launch.py", "launch_vertex.py")]
TARGETS = {"aws": "deploy.aws", "gcp": "deploy.gcp"}
JOB_NEEDS = {"archive", "model"}
FOLLOW_EVERY_S = 1.0


class VerbError(Exception):
    """A verb cannot do what it was asked; the message says why and what to do."""


# What a person gets told in a sentence and without a traceback.
EXPECTED = (
    VerbError,
    configuration.ConfigError,
    package.PackageError,
    plans.PlanError,
    CloudError,
    jobs.TrainingError,
    BatchError,
    LatencyError,
    asking.AskError,
    optimizing.OptimizingError,
    unpack.UnpackError,
    terminal.NoTerminal,
    OSError,
)


@dataclass(frozen=True)
class Run:
    """One command: what it is about, where, and what was agreed to beforehand."""

    project: Path
    config: Config
    cloud: str
    yes: bool
    live: bool

    # The SDK's modules, imported when they are first used: to score on this machine takes none.
    @property
    def target(self) -> Target:
        return cast(Target, _part(self.cloud))

    @property
    def trainings(self) -> Trainings:
        return cast(Trainings, _part(self.cloud, "trainings"))

    @property
    def batches(self) -> Cloud:
        storage, transforms = _part(self.cloud, "storage"), _part(self.cloud, "transforms")
        return Cloud(self.config, cast(Storage, storage), cast(Transforms, transforms))

    @property
    def model(self) -> Path:
        return self.project / "build" / "model"

    @property
    def variant(self) -> Path:
        """What `optimize` leaves."""
        return self.project / "build" / variants.FOLDER

    @property
    def code(self) -> Path:
        return self.project / "inference"

    @property
    def place(self) -> rollout.Place:
        return rollout.Place(self.target, self.config)

    @property
    def training(self) -> jobs.Site:
        return jobs.Site(self.project, self.config, self.trainings, LAUNCHERS)


def run(options: Namespace) -> None:
    """Do the verb that the options name. Raises one of EXPECTED, or KeyboardInterrupt."""
    config = configuration.load(options.project)
    configuration.check_cloud(config, options.cloud)
    verb: Callable[[Run, Namespace], None] = globals()[options.verb.replace("-", "_")]
    return verb(Run(options.project, config, options.cloud, options.yes, options.live), options)


def _part(cloud: str, name: str = "") -> Any:
    """A cloud's module, or a part of it."""
    try:
        return importlib.import_module(".".join(filter(None, (TARGETS[cloud], name))))
    except ImportError as error:
        raise VerbError(
            f"CLOUD={cloud} needs {error.name}: python -m pip install -c constraints.txt "
            f"-r deploy/requirements-{cloud}.txt (make does it)"
        ) from error


def deploy_endpoint(run: Run, options: Namespace) -> None:
    """Train if there is no model, package, plan, apply, wait, and prove it with the samples."""
    package.check(run.code, run.model)
    run.target.check(run.config)
    if not _took_a_model(run):
        train(run, options)
    desired = run.target.desired(run.config, _packaged(run))
    changes = plans.plan(desired, _observed(run), run.config.keep_versions)
    terminal.show_plan(changes)
    if run.live and any(change.action == "create" for change in changes):
        _ask(run, "Make these changes? An endpoint is billed from its creation until `destroy`.")
    rollout.make(run.place, changes)
    asking.prove(run.place, run.project)


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
    if not _took_a_model(run):
        train(run, options)
    wanted = _for_a_job(run.target.desired(run.config, _packaged(run)))
    work = scoring.plan(cloud, wanted[-1].name, found, output)
    scoring.tell(work, scoring.score(work, lambda: _prepare(run, work, wanted)))


def _for_a_job(desired: Sequence[Resource]) -> list[Resource]:
    """What a job needs of what an endpoint needs: the archive, and last the model."""
    return [resource for resource in desired if resource.kind in JOB_NEEDS]


def _prepare(run: Run, work: Work, wanted: Sequence[Resource]) -> None:
    """Make the model if it is not there, after a question where a job is billed; nothing else is changed."""
    changes = [c for c in plans.plan(wanted, run.target.observed(run.config)) if c.action == "create"]
    terminal.show_plan(changes)
    if run.live:
        machines = work.cloud.transforms.machines(run.config, work.order.settings)
        _ask(run, f"Start a transform job on {machines}? It is billed until it ends.")
    rollout.make(run.place, changes)


def _score_here(run: Run, options: Namespace, settings: Batch) -> None:
    archive = run.project / "build" / "model.tar.gz"
    command = engine.command(options.engine, archive, (options.input, options.output), settings)
    if not run.model.is_dir():
        raise VerbError(f"{run.model}: there is no model yet; `make train` makes one")
    _packaged(run)
    if status := engine.run(command, configuration.container_environment(run.config)):
        raise VerbError(f"not every file was scored (exit status {status}): see what was printed above")


def plan(run: Run, options: Namespace) -> None:
    """Show what a deploy would change, and change nothing in the cloud."""
    run.target.check(run.config)
    _took_a_model(run)
    desired = run.target.desired(run.config, _packaged(run))
    terminal.show_plan(plans.plan(desired, _observed(run), run.config.keep_versions))


def rollback(run: Run, options: Namespace) -> None:
    """Put an older version back in service: the newest before the present one, or the one named."""
    observed = _observed(run)
    version = plans.older(observed, options.to)
    desired = [*plans.whole(version.key, observed), run.target.endpoint(run.config, version.name)]
    changes = plans.plan(desired, observed, run.config.keep_versions)
    terminal.show_plan(changes)
    # Without a name it would go back one version more.
    rollout.make(run.place, changes, again=f"`rollback` to {version.name} (TO= or --to)")
    asking.prove(run.place, run.project)


def destroy(run: Run, options: Namespace) -> None:
    """Remove all of this deployment, after a question, and list again to prove it."""
    changes = plans.plan([], _everything(run))
    terminal.show_plan(changes)
    if changes:
        _ask(run, f"Delete all of this? Nothing brings {run.config.name!r} back but another deploy.")
    rollout.make(run.place, changes)
    _prove_gone(run)


def invoke(run: Run, options: Namespace) -> None:
    """Post a file, or each of the samples, and print the answers."""
    for request in _requests(run, options):
        asking.show(run.place, request)


def latency(run: Run, options: Namespace) -> None:
    """Replay the samples, or a file, and show where the time of the answers went."""
    order = measuring.Order(_requests(run, options), options.times, options.concurrency, options.plot)
    measuring.measure(run.target.caller(run.config), order, run.config.latency.budget)


def status(run: Run, options: Namespace) -> None:
    """Say what the endpoint is and does, and which versions a rollback could put back."""
    facts = run.target.status(run.config)
    if not facts:
        terminal.line(f"{run.config.name} is not deployed")
        return
    for name, fact in facts.items():
        terminal.line(f"{name:10} {fact}")
    observed = run.target.observed(run.config)
    for version in plans.versions(observed):
        if version.key not in plans.in_service(observed):
            terminal.line(f"{'kept':10} {version.name} (made {version.seen.created})")


def logs(run: Run, options: Namespace) -> None:
    """Print what the containers printed, and go on doing so if asked."""
    since = datetime.now(UTC) - options.since
    seen: set[tuple[str, str]] = set()
    while True:
        events = run.target.logs(run.config, since)
        _print_new(events, seen)
        if not options.follow:
            break
        # A line may arrive later than one that is younger: look back a little, and know what was shown.
        since = max([since, *(event.time - timedelta(seconds=10) for event in events)])
        time.sleep(FOLLOW_EVERY_S)
    if not seen:
        terminal.aside("nothing was printed since then; --since 1d looks back further")


def _print_new(events: Sequence[Event], seen: set[tuple[str, str]]) -> None:
    for event in events:
        if (event.stream, event.id) not in seen:
            seen.add((event.stream, event.id))
            terminal.line(f"{event.time:%Y-%m-%d %H:%M:%S}  {event.stream}  {event.text}")


def train(run: Run, options: Namespace) -> None:
    """Train as a job and put its model in build/model."""
    wanted = jobs.wanted(run.training)
    run.target.check(run.config)
    question = f"Start a training job on {wanted.machine}? It is billed until it ends."
    job = jobs.run(run.training, wanted, lambda: _ask(run, question) if run.live else None)
    jobs.bring(run.training, job)


def optimize(run: Run, options: Namespace) -> None:
    """Try what makes the model lighter, and keep what is worth it for the next package."""
    environment = configuration.container_environment(run.config)
    place = optimizing.Place(run.model, run.code, run.variant, environment)
    optimizing.optimize(place, optimizing.Order(options.choose, options.cosine, options.input))


def _took_a_model(run: Run) -> bool:
    """Whether there is a model, here or of a training job; the newer one is then in build/model, and told."""
    here, newest = models.here(run.model.parent), run.trainings.newest(run.config)
    choice = models.choose(here, newest)
    if newest and choice == "fetch":
        jobs.bring(run.training, newest)
    if choice != "train":
        terminal.line(f"model: {models.sentence(models.here(run.model.parent), newest)}")
    return choice != "train"


def _packaged(run: Run) -> Archive:
    if not run.model.is_dir():
        raise VerbError(f"{run.model}: there is no model yet; `make train` makes one")
    out = run.project / "build" / "model.tar.gz"
    with terminal.working("package the model") as say:
        built = package.build(
            run.model, run.code, out, lambda size: say(f"{size / 1e6:,.0f} MB"), run.variant
        )
    if lighter := variants.chosen(run.variant):
        terminal.line(f"in the model's place: {lighter.kind}, {lighter.told} (`make optimize`)")
    return built


def _observed(run: Run) -> list[Resource]:
    with terminal.working("look at what is there") as say:
        run.target.settle(run.config, lambda state: say(f"endpoint: {state}"))
        return run.target.observed(run.config)


def _everything(run: Run) -> list[Resource]:
    return [*run.target.traces(run.config), *_observed(run)]


def _ask(run: Run, question: str) -> None:
    if not run.yes and not terminal.agrees(question):
        raise VerbError("nothing was changed")


def _prove_gone(run: Run) -> None:
    left = _everything(run)
    ours = [f"{resource.kind} {resource.name}" for resource in left if resource.seen.ours]
    if ours:
        raise VerbError(f"still there: {', '.join(ours)}; give the same command again")
    terminal.line(f"nothing of {run.config.name} is left")
    for resource in left:
        terminal.line(f"not this deployment's, left alone: {resource.kind} {resource.name}")


def _requests(run: Run, options: Namespace) -> list[Request]:
    if options.body:
        return [asking.file(run.project, options.body, options.content_type, options.accept)]
    samples = asking.samples(run.project)
    if not samples:
        raise VerbError("inference/samples.jsonl is not there: BODY=file (or --body) says what to post")
    return samples
