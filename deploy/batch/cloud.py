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
from deploy.batch.orders import Order
from deploy.batch.places import Remote
from deploy.config import Config
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
    """A transform job as the cloud tells it. `state` is one of SageMaker's TransformJobStatus."""

    name: str
    state: str
    created: datetime
    started: datetime | None = None
    reason: str = ""  # why it failed

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

    def run_place(self, config: Config, run: str) -> Remote:
        """Where a run's own objects lie: what is staged for it, and results on their way."""

    def jobs(self, config: Config, run: str) -> list[Job]:
        """The jobs that the run has had, the first first. CloudError where one is somebody else's."""

    def start(self, config: Config, order: Order) -> Job:
        """Start the job of this number on these files, or join the one that is there by now."""

    def look(self, config: Config, name: str) -> Job:
        """The job as it is now."""

    def stop(self, config: Config, name: str) -> None:
        """Ask the job to stop; nothing happens to one that has ended."""

    def printed(self, config: Config, job: Job) -> tuple[list[str], list[Event]]:
        """What the platform wrote about the job's files, and what its containers printed."""


@dataclass(frozen=True)
class Cloud:
    config: Config
    storage: Storage
    transforms: Transforms
