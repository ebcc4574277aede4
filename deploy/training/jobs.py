"""`train`: what the script needs is brought to the cloud, a job runs it there, and its model comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy import terminal, unpack
from deploy.config import Config
from deploy.rollout import Stopped
from deploy.target import CloudError, TrainingJob, Trainings, Wanted
from deploy.training import bundles, following, images, models


class TrainingError(Exception):
    """A training made no model; the message says why. The last model is as it was."""


@dataclass(frozen=True)
class Site:
    """A project, where its jobs run, and the kit's launchers, which travel with the script."""

    project: Path
    config: Config
    trainings: Trainings
    launchers: Sequence[Path]

    @property
    def build(self) -> Path:
        return self.project / "build"


def wanted(site: Site) -> Wanted:
    """The job that the project asks for now. Reads the project and no network.

    Raises PackageError for a script or data that cannot travel, CloudError where no image is known.
    """
    image = site.trainings.image(site.config)
    with terminal.working("read the script and its data") as say:
        read = 0

        def count(size: int) -> None:
            nonlocal read
            read += size
            say(f"{read / 1e6:,.0f} MB")

        code = bundles.code(site.project / "training", site.launchers, count)
        found = bundles.Data(site.project, site.config.training.channels, site.trainings.SCHEME)
        data = bundles.channels(found, count)
    for warning in images.mismatch(image, site.trainings.serving_image(site.config)):
        terminal.aside(f"warning: {warning}")
    return site.trainings.desired(site.config, image, [code, *data])


def run(site: Site, wanted: Wanted, agree: Callable[[], None]) -> TrainingJob:
    """The finished job. One that does the same and is in progress is joined, else one is started.

    `agree` is called before anything is uploaded or billed, and raises where it is not wanted. Raises
    TrainingError if the job leaves no model, Stopped, after asking the job to stop, for Ctrl-C.
    """
    trainings, config = site.trainings, site.config
    trainings.check(config, wanted)
    name = trainings.running(config, wanted)
    if name:
        terminal.line(f"training job {name} does just this already: following it")
        return _watched(site, name)
    agree()
    with terminal.working("upload what is not there yet") as say:
        trainings.stage(config, wanted, say)
    name = trainings.new_name(config, wanted)
    terminal.line(f"training job {name} on {wanted.machine}")
    return _watched(site, name, wanted)


def _watched(site: Site, name: str, start: Wanted | None = None) -> TrainingJob:
    """See a job to its end, which `start` begins where it is given."""
    try:
        if start:
            site.trainings.start(site.config, start, name)
        with _going_on(name), terminal.working(f"training job {name}") as say:
            job = following.follow(site.trainings, site.config, name, say)
    except KeyboardInterrupt:
        raise Stopped(_stopped(site, name)) from None
    return _finished(job)


@contextmanager
def _going_on(name: str) -> Iterator[None]:
    """Say of an error while a job is followed that the job knows nothing of it."""
    try:
        yield
    except CloudError as error:
        raise CloudError(f"{error} (training job {name} goes on, and `train` joins it)") from error


def _stopped(site: Site, name: str) -> str:
    """Ask the job to stop, since it is billed; what to tell of it."""
    try:
        site.trainings.stop(site.config, name)
    except (CloudError, KeyboardInterrupt) as error:
        why = str(error) or "stopped again"
        return f"training job {name} could not be asked to stop ({why}): it goes on, and `train` joins it"
    return f"stopped: training job {name} was asked to stop; the last model is as it was"


def _finished(job: TrainingJob) -> TrainingJob:
    if job.state != "Completed":
        why = job.reason or (job.phase if job.phase != job.state else "somebody asked it to")
        raise TrainingError(
            f"training job {job.name} {job.state.lower()}: {why}; the last model is as it was"
        )
    billed = f", {job.seconds} s billed" if job.seconds is not None else ""
    terminal.line(f"training job {job.name} completed{billed}{following.told(job.metrics)}")
    return job


def bring(site: Site, job: TrainingJob) -> None:
    """Put the job's model in the place of build/model; one that was made here is kept beside it.

    UnpackError or CloudError leave the last one where it is.
    """
    try:
        with models.workshop(site.build) as place:
            archive, new = place / "model.tar.gz", place / "model"
            new.mkdir()
            with terminal.working("fetch the model") as say:
                site.trainings.fetch(site.config, job, archive, say)
                unpack.unpack(archive, new)
            kept = models.install(site.build, new, job)
        if kept:
            terminal.line(f"the model that was made here before is kept as {kept}")
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped: the model of training job {job.name} is not here yet; `deploy-endpoint` fetches it"
        ) from None
