"""The states of a training job, as data, and the table of all jobs."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.cloud import Caller
from infra.local.sagemaker.states import Key
from infra.local.sagemaker.trainings.metrics import Reading

# Source: API_DescribeTrainingJob, TrainingJobStatus and SecondaryStatus; the messages are those that its
# SecondaryStatusTransitions have had in public issues (sagemaker-python-sdk 427 and 835).
MESSAGES: Mapping[str, str] = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
ENDED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class Phase:
    """One secondary status; times are epoch seconds, `until` is None for the one that lasts."""

    status: str
    since: float
    until: float | None = None


@dataclass(frozen=True)
class Job:
    """A training job at one moment. `request` is what was asked; times are epoch seconds."""

    caller: Caller
    name: str
    arn: str
    request: Mapping[str, Any]
    created: float
    modified: float
    phases: tuple[Phase, ...]
    status: str = "InProgress"
    exceeded: bool = False  # its maximum run time
    failure: str = ""
    model: str = ""  # the s3:// URL of the model, once it is there
    started: float | None = None
    ended: float | None = None
    metrics: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What names the job."""
        return Key.of(self.caller, self.name)


class Jobs:
    """Every training job as it is now. A reader gets a moment; every change is one step, under a lock."""

    def __init__(self) -> None:
        self._now: dict[Key, Job] = {}
        self._lock = threading.Lock()

    def find(self, key: Key) -> Job | None:
        """The job, None if there is none."""
        return self._now.get(key)

    def all_of(self, caller: Caller) -> list[Job]:
        """The caller's jobs in the caller's region."""
        place = (caller.account, caller.region)
        with self._lock:
            return [one for key, one in self._now.items() if (key.account, key.region) == place]

    def add(self, job: Job) -> bool:
        """Puts a new job there; False if the name is taken, by a job that has ended too."""
        with self._lock:
            return self._now.setdefault(job.key, job) is job

    def enter(self, key: Key, phase: str, **changes: Any) -> bool:
        """The job's next secondary status; False, and nothing is changed, where it is to stop instead.

        What a job leaves is uploaded whether it stops or not.
        """
        with self._lock:
            if phase != "Uploading" and self._now[key].status != "InProgress":
                return False
            self._enter(key, phase, changes)
            return True

    def note(self, key: Key, **changes: Any) -> None:
        """Changes what is known of the job, and neither of its statuses."""
        with self._lock:
            self._now[key] = dataclasses.replace(self._now[key], **changes)

    def stop(self, key: Key, exceeded: bool = False) -> bool:
        """Has the job stop; False, and nothing is changed, if it does so already or has ended."""
        with self._lock:
            if self._now[key].status != "InProgress":
                return False
            self._enter(key, "Stopping", {"status": "Stopping", "exceeded": exceeded})
            return True

    def end(self, key: Key, failure: str, **changes: Any) -> None:
        """Brings the job to rest. One that was asked to stop is Stopped, whatever its script made of it."""
        with self._lock:
            job = self._now[key]
            ended = {**changes, "ended": time.time()}
            if job.status == "Stopping":
                phase = "MaxRuntimeExceeded" if job.exceeded else "Stopped"
                self._enter(key, phase, {**ended, "status": "Stopped"})
            else:
                status = "Failed" if failure else "Completed"
                self._enter(key, status, {**ended, "status": status, "failure": failure})

    def _enter(self, key: Key, phase: str, changes: dict[str, Any]) -> None:
        job, now = self._now[key], time.time()
        last = dataclasses.replace(job.phases[-1], until=now)
        until = now if phase in ENDED or phase == "MaxRuntimeExceeded" else None
        phases = (*job.phases[:-1], last, Phase(phase, now, until))
        self._now[key] = dataclasses.replace(job, phases=phases, modified=now, **changes)
