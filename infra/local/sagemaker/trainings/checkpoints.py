"""A job's checkpoints: down from S3 before it starts, up again while it runs and when it has ended.

Source: SageMaker's developer guide, model-checkpoints: what is there at the start is written to the
container, what is new or changed in the container is copied to S3, and what is deleted there is deleted here.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker.trainings import channels
from infra.local.sagemaker.trainings.channels import Place

Seen = dict[str, tuple[int, int]]  # path -> time of change in ns, size


class Checkpoints:
    """The folder of one job and its place in S3, kept alike from `fetch` to `close`."""

    def __init__(self, cloud: Cloud, caller: Caller, url: str, folder: Path) -> None:
        self._cloud, self._caller, self._folder = cloud, caller, folder
        self._place = _as_folder(Place.of(url))
        self._known: Seen = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"checkpoints {url}", daemon=True)

    def fetch(self, go_on: Callable[[], None]) -> None:
        """Brings the last job's checkpoints, if any. Raises DownloadFailed, or what `go_on` raises."""
        url = f"s3://{self._place.bucket}/{self._place.key}"
        source: Mapping[str, Any] = {"S3DataType": "S3Prefix", "S3Uri": url}
        for _ in channels.download(self._cloud, self._caller, source, self._folder):
            go_on()
        self._known = _seen(self._folder)
        self._thread.start()

    def close(self) -> None:
        """Copies what is not there yet; the job has ended. Raises AwsError."""
        self.leave()
        if self._thread.ident:
            self._copy()

    def leave(self) -> None:
        """Copies nothing more, and deletes nothing: what becomes of the folder now is not the job's doing."""
        self._closing.set()
        if self._thread.ident:
            self._thread.join()

    def _follow(self) -> None:
        while not self._closing.wait(self._cloud.settings.checkpoint_interval_s):
            with contextlib.suppress(AwsError, OSError):  # `close` copies once more, and tells
                self._copy()

    def _copy(self) -> None:
        now = _seen(self._folder)
        for path in sorted(now):
            if self._known.get(path) != now[path]:
                self._put(path)
        for path in sorted(self._known.keys() - now.keys()):
            self._cloud.delete_object(self._caller, self._place.bucket, self._place.key + path)
        self._known = now

    def _put(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), (self._folder / path).open("rb") as body:
            self._cloud.put_object(self._caller, self._place.bucket, self._place.key + path, body)


def _as_folder(place: Place) -> Place:
    """The prefix with its slash: the checkpoints of `job` are not those of `job-2`."""
    return Place(place.bucket, place.key.rstrip("/") + "/" if place.key else "")


def _seen(folder: Path) -> Seen:
    """The files below the folder; links are not followed."""
    found: Seen = {}
    for here, _, names in os.walk(folder):
        for path in (Path(here, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found[str(path.relative_to(folder))] = (status.st_mtime_ns, status.st_size)
    return found
