"""The states of a transform job and the changes between them, as data.

Source: API_DescribeTransformJob, TransformJobStatus.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from typing import Any

from infra.local.cloud import Caller
from infra.local.sagemaker.states import Key

ENDED = ("Completed", "Failed", "Stopped")
Json = dict[str, Any]


@dataclass(frozen=True)
class TransformJob:
    """A job at one moment. `request` is CreateTransformJob's; times are epoch seconds, 0.0 for not yet."""

    caller: Caller
    name: str
    arn: str
    request: Json
    created: float
    status: str = "InProgress"
    modified: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    failure: str = ""

    @property
    def key(self) -> Key:
        """What names it."""
        return Key.of(self.caller, self.name)


class TransformJobs:
    """Every job as it is now; none is ever removed."""

    def __init__(self) -> None:
        self._now: dict[Key, TransformJob] = {}
        self._lock = threading.Lock()

    def find(self, key: Key) -> TransformJob | None:
        """The job, None if there is none."""
        return self._now.get(key)

    def all_of(self, caller: Caller) -> list[TransformJob]:
        """The caller's jobs in the caller's region."""
        place = (caller.account, caller.region)
        with self._lock:
            return [one for key, one in self._now.items() if (key.account, key.region) == place]

    def add(self, job: TransformJob) -> bool:
        """Puts a new job there; False if the name is taken."""
        with self._lock:
            return self._now.setdefault(job.key, job) is job

    def start(self, key: Key) -> None:
        """The job's instances are there."""
        with self._lock:
            self._change(key, started=time.time())

    def stop(self, key: Key) -> str:
        """InProgress to Stopping; the status that the job had."""
        with self._lock:
            before = self._now[key].status
            if before == "InProgress":
                self._change(key, status="Stopping")
            return before

    def end(self, key: Key, failure: str) -> None:
        """The work is over: Stopped if that was asked for, else Failed for a reason, else Completed."""
        with self._lock:
            if self._now[key].status == "Stopping":
                self._change(key, status="Stopped", ended=time.time())
            else:
                status = "Failed" if failure else "Completed"
                self._change(key, status=status, failure=failure, ended=time.time())

    def _change(self, key: Key, **changes: Any) -> None:
        self._now[key] = dataclasses.replace(self._now[key], modified=time.time(), **changes)


def described(job: TransformJob) -> Json:
    """DescribeTransformJob's answer: the request with SageMaker's defaults, and what became of it."""
    kept = {name: value for name, value in job.request.items() if name != "Tags"}
    given = job.request["TransformInput"], job.request["TransformOutput"]
    times = {"TransformStartTime": job.started, "TransformEndTime": job.ended, "FailureReason": job.failure}
    return {
        **kept,
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "CreationTime": job.created,
        **{name: value for name, value in times.items() if value},
        "TransformInput": {"CompressionType": "None", "SplitType": "None", **given[0]},
        "TransformOutput": {"AssembleWith": "None", **given[1]},
        "DataProcessing": {
            "InputFilter": "$",
            "OutputFilter": "$",
            "JoinSource": "None",
            **job.request.get("DataProcessing", {}),
        },
    }


def summarised(job: TransformJob) -> Json:
    """The job's line in ListTransformJobs."""
    optional = {"TransformEndTime": job.ended, "FailureReason": job.failure}
    return {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified or job.created,
        "TransformJobStatus": job.status,
        **{name: value for name, value in optional.items() if value},
    }
