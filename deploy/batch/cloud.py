"""What a cloud must do for a run: keep objects and run transform jobs.

Two modules of functions for each cloud, beside its target. All raise CloudError, never an SDK's own errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from deploy.batch.counting import Readable
from deploy.batch.kinds import Kind
from deploy.batch.orders import Order
from deploy.batch.places import Place, Remote
from deploy.config import Config
from deploy.sections import Batch
from deploy.target import Event


@dataclass(frozen=True)
class Stored:
    """An object. `digest` changes with its content; `size` is in bytes."""

    key: str
    size: int
    digest: str
    modified: datetime


@dataclass(frozen=True)
class Job:
    """A transform job as the cloud tells it. `state` is one of SageMaker's TransformJobStatus.

    `name` is the one that `orders.job_name` gave it, `id` what the cloud calls it where that is another.
    """

    name: str
    state: str
    created: datetime
    started: datetime | None = None
    reason: str = ""  # why it failed
    id: str = ""

    @property
    def moving(self) -> bool:
        return self.state in {"InProgress", "Stopping"}


class Storage(Protocol):
    """Objects, in buckets that belong to the deployment's own account."""

    @property
    def SCHEME(self) -> str:  # noqa: N802 - a module's constant
        """What the URIs begin with."""

    def reachable(self, config: Config, bucket: str, place: str) -> None:
        """Raise CloudError, beginning with `place`, for a bucket that cannot be used."""

    def found(self, config: Config, place: Remote) -> Stored | None:
        """The object of exactly this key."""

    def listed(self, config: Config, place: Remote) -> list[Stored]:
        """All objects whose keys begin with the place's."""

    def opened(self, config: Config, place: Remote, start: int = 0) -> AbstractContextManager[Readable]:
        """The object's bytes from `start` on."""

    def upload(
        self, config: Config, files: Sequence[tuple[Path, Remote]], sent: Callable[[int], None]
    ) -> None:
        """Make each file an object, which is there whole or not at all; `sent` takes bytes as they go."""

    def put(self, config: Config, place: Remote, body: bytes) -> None:
        """Make a small object of these bytes."""

    def remove(self, config: Config, places: Sequence[Remote]) -> None:
        """Delete these objects, which lie in one bucket; one that is not there is no error."""


class Transforms(Protocol):
    """Jobs that score files."""

    def check_settings(self, settings: Batch, kind: Kind) -> None:
        """Raise BatchError for settings that this cloud does not have for files of this kind."""

    def machines(self, config: Config, settings: Batch) -> str:
        """What a job runs on, as a person is told before it is billed."""

    def run_place(self, config: Config, run: str) -> Remote:
        """Where a run's own objects lie: what is staged for it, and results on their way."""

    def jobs(self, config: Config, run: str) -> list[Job]:
        """The jobs that the run has had, the first first. CloudError where one is somebody else's."""

    def stage(self, config: Config, order: Order, origin: Place) -> None:
        """Bring the job's files, which lie under `origin`, into the form and to the place that it reads.

        What is there already is not sent again. BatchError for a file that has changed since it was counted.
        """

    def start(self, config: Config, order: Order) -> Job:
        """Start the job of this number on these files, or join the one that is there by now."""

    def look(self, config: Config, job: Job) -> Job:
        """The job as it is now."""

    def stop(self, config: Config, job: Job) -> None:
        """Ask the job to stop; nothing happens to one that has ended."""

    def gather(self, config: Config, order: Order, job: Job) -> None:
        """Of what a job has left that has ended, make the results of its files, each `<file>.out`."""

    def printed(self, config: Config, order: Order, job: Job) -> tuple[dict[str, str], list[Event]]:
        """Why files have no result, by their names, and what the job's containers printed."""


@dataclass(frozen=True)
class Cloud:
    config: Config
    storage: Storage
    transforms: Transforms
