"""What a person can ask for: each verb names its stages and leaves the rest to them."""

import importlib
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from deploy import config as configuration
from deploy import package, rollout, terminal, unpack
from deploy import plan as plans
from deploy.batch import engine, inputs, orders, scoring
from deploy.batch.cloud import Cloud, Storage, Transforms
from deploy.batch.collecting import Work
from deploy.batch.places import BatchError
from deploy.config import Config
from deploy.latency import LatencyError, measuring
from deploy.package import Archive
from deploy.plan import Resource
from deploy.sections import Batch
from deploy.target import Answer, CloudError, Event, Request, Target, Trainings
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
CONTENT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".npy": "application/x-npy",
}
SHOWN_ANSWERS = 5
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
    package.check(run.code)
    run.target.check(run.config)
    if not _took_a_model(run):
        train(run, options)
    desired = run.target.desired(run.config, _packaged(run))
    changes = plans.plan(desired, _observed(run), run.config.keep_versions)
    terminal.show_plan(changes)
    if run.live and any(change.action == "create" for change in changes):
        _ask(run, "Make these changes? An endpoint is billed from its creation until `destroy`.")
    rollout.make(run.place, changes)
    _prove(run)


def batch_transform(run: Run, options: Namespace) -> None:
    """Check and count files, have a job score them, or this machine, and count what came back."""
    settings = orders.settings(run.config.batch, vars(options))
    if options.engine:
        _score_here(run, options, settings)
    else:
        _score_by_a_job(run, options, settings)


def _score_by_a_job(run: Run, options: Namespace, settings: Batch) -> None:
    cloud = run.batches
    source, output = scoring.places(cloud, options.input, options.output)
    scoring.check_output(cloud, output)
    with terminal.working("look at the input"):
        found = inputs.look(cloud, source, settings)
    package.check(run.code)
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
    if status := engine.run(command):
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
    _prove(run)


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
        answer = run.target.invoke(run.config, request)
        sys.stdout.buffer.write(answer.body)
        if not answer.body.endswith(b"\n") and not answer.content_type.endswith("npy"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()


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
        return package.build(run.model, run.code, out, lambda size: say(f"{size / 1e6:,.0f} MB"))


def _observed(run: Run) -> list[Resource]:
    with terminal.working("look at what is there") as say:
        run.target.settle(run.config, lambda state: say(f"endpoint: {state}"))
        return run.target.observed(run.config)


def _everything(run: Run) -> list[Resource]:
    return [*run.target.traces(run.config), *_observed(run)]


def _ask(run: Run, question: str) -> None:
    if not run.yes and not terminal.agrees(question):
        raise VerbError("nothing was changed")


def _prove(run: Run) -> None:
    """Have every sample answered by the endpoint; show the first answers, and how to get more."""
    requests = _samples(run.project)
    if not requests:
        terminal.line("inference/samples.jsonl is not there: the endpoint was asked nothing")
        return
    timed = [_timed(run, number, request) for number, request in enumerate(requests, start=1)]
    median = statistics.median_low(seconds for _, seconds in timed)
    terminal.line(
        f"{run.config.name} answered {len(timed)} of {len(requests)} samples, {median * 1000:.1f} ms each"
    )
    for request, (answer, _) in list(zip(requests, timed, strict=True))[:SHOWN_ANSWERS]:
        terminal.line(f"  {terminal.shown(request.body.decode())}")
        terminal.line(f"    -> {terminal.shown(answer.body.decode())}", style="green")
    _show_example(run, requests[0])


def _show_example(run: Run, request: Request) -> None:
    terminal.line("\n# the same from Python:", style="dim")
    terminal.line(run.target.example(run.config, request))
    terminal.line("# end\n", style="dim")


def _timed(run: Run, number: int, request: Request) -> tuple[Answer, float]:
    start = time.perf_counter()
    try:
        answer = run.target.invoke(run.config, request)
    except CloudError as error:
        raise VerbError(
            f"inference/samples.jsonl: the endpoint did not answer sample {number}: {error}"
        ) from error
    return answer, time.perf_counter() - start


def _prove_gone(run: Run) -> None:
    left = _everything(run)
    ours = [f"{resource.kind} {resource.name}" for resource in left if resource.seen.ours]
    if ours:
        raise VerbError(f"still there: {', '.join(ours)}; give the same command again")
    terminal.line(f"nothing of {run.config.name} is left")
    for resource in left:
        terminal.line(f"not this deployment's, left alone: {resource.kind} {resource.name}")


def _requests(run: Run, options: Namespace) -> list[Request]:
    if not options.body:
        samples = _samples(run.project)
        if not samples:
            raise VerbError("inference/samples.jsonl is not there: BODY=file (or --body) says what to post")
        return samples
    content_type = options.content_type or CONTENT_TYPES.get(options.body.suffix, "application/json")
    return [Request(options.body.read_bytes(), content_type, options.accept)]


def _samples(project: Path) -> list[Request]:
    """A request for each line of samples.jsonl; none without the file.

    It goes as what it is, a line of JSON Lines: as JSON, an instance that is a list would look like many.
    To a handler of another server it goes as JSON, which all of them read, and where a body is one request.
    """
    path = project / "inference" / "samples.jsonl"
    if not path.is_file():
        return []
    kind = CONTENT_TYPES[".json" if package.is_of_another_server(path.parent) else ".jsonl"]
    return [Request(text, kind) for text in path.read_bytes().splitlines() if text.strip()]
