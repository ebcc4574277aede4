"""The one machine of a custom job: a private folder and Python environment, the command in them, its end.

Whatever the command is, the SDK's `sh -c "pip install … && pip3 install --user …"` among others, it changes
nothing on the host: its pip installs into the environment of this run.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local import environments, processes
from infra.local.vertex.api import Json, Vertex
from infra.local.vertex.containers import expanded_env
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.jobs.gcs import Mounts
from infra.local.vertex.logs import LogStream

# As environments.PIP, but that a home is private here: there is no other place for --user.
PIP = (
    '#!/bin/sh\nfor word do shift; [ "$word" = --user ] || set -- "$@" "$word"; done\n'
    'exec "${0%/*}/python" -m pip "$@"\n'
)
FAILED = (
    "The replica workerpool0-0 exited with a non-zero status of {status}. Termination reason: Error.\n"
    "{tail}\nTo find out more about why your job exited please check the logs: "
    "https://console.cloud.google.com/logs/viewer?project={project}&resource=ml_job%2Fjob_id%2F{job}"
)


@dataclass(frozen=True)
class ReplicaSpec:
    """What runs: `given` is a containerSpec, `base` the base output directory, no slash at its end, or ""."""

    job: str
    project: str
    given: Json
    base: str


class Replica:
    """One run, to its end; `stop` may be called from any thread, and before it."""

    def __init__(self, vertex: Vertex, spec: ReplicaSpec, log: LogStream) -> None:
        self._vertex, self._spec, self._log = vertex, spec, log
        self._place = vertex.settings.places / f"custom-{secrets.token_hex(8)}"
        self._process: processes.Process | None = None
        self._lock = threading.Lock()
        self._stopping = False

    def run(self, timeout_s: float) -> None:
        """Runs the command. Raises GoogleError where it fails, is stopped, or takes longer."""
        try:
            self._start()
            assert self._process is not None
            status = self._process.wait(timeout_s)
            if status is None:
                self.stop()
                raise GoogleError("DEADLINE_EXCEEDED", f"The job took longer than its {timeout_s:g} seconds.")
            if self._stopping:
                raise GoogleError("CANCELLED", "The job was cancelled.")
            if status:
                raise self._failed(128 - status if status < 0 else status)
        finally:
            shutil.rmtree(self._place, ignore_errors=True)

    def stop(self) -> None:
        """SIGTERM, SIGKILL after the time that a job has to save, and waits."""
        with self._lock:
            self._stopping = True
            process = self._process
        if process is not None:
            process.stop(self._vertex.settings.training_stop_grace_s)

    def _start(self) -> None:
        for folder in ("home", "tmp"):
            (self._place / folder).mkdir(parents=True)
        environments.make(self._place / "env")
        for pip in (self._place / "env" / "bin").glob("pip*"):
            pip.write_text(PIP)
        mounts = Mounts(self._vertex.storage, self._place / "gcs")
        given = self._spec.given
        words = [mounts.rewritten(word) for word in [*given["command"], *given.get("args", [])]]
        env = {name: mounts.rewritten(value) for name, value in self._variables().items()}
        env = environments.variables(self._place / "env", env)
        with self._lock:
            if self._stopping:
                raise GoogleError("CANCELLED", "The job was cancelled.")
            command = processes.Command(tuple(words), env, self._place, f"custom job {self._spec.job}")
            self._process = processes.start(command, self._log.write)

    def _variables(self) -> dict[str, str]:
        return {
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **contract(self._spec),
            **expanded_env(self._spec.given.get("env", []), {}),
            "HOME": str(self._place / "home"),
            "TMPDIR": str(self._place / "tmp"),
            "STORAGE_EMULATOR_HOST": self._vertex.url,
        }

    def _failed(self, status: int) -> GoogleError:
        spec = self._spec
        told = FAILED.format(status=status, tail=self._log.tail(), project=spec.project, job=spec.job)
        return GoogleError("INVALID_ARGUMENT", told)


def contract(spec: ReplicaSpec) -> Mapping[str, str]:
    """What a training container is told. Source: code-requirements, "Environment variables"."""
    cluster = {
        "cluster": {"workerpool0": ["127.0.0.1:2222"]},
        "environment": "cloud",
        "task": {"type": "workerpool0", "index": 0},
    }
    told = {
        "CLOUD_ML_JOB_ID": spec.job,
        "CLOUD_ML_PROJECT_ID": spec.project,
        "CLUSTER_SPEC": json.dumps(cluster),
    }
    if not spec.base:
        return told
    return {
        **told,
        "AIP_MODEL_DIR": f"{spec.base}/model/",
        "AIP_CHECKPOINT_DIR": f"{spec.base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{spec.base}/logs/",
    }
