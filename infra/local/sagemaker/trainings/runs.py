"""The work behind a training job's states, in a thread of its own: data in, the run, the model out."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local import engines
from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker.containers import PULL_FAILED
from infra.local.sagemaker.logs import LogStream
from infra.local.sagemaker.trainings import artifacts, channels, container, metrics
from infra.local.sagemaker.trainings.channels import DownloadFailed
from infra.local.sagemaker.trainings.checkpoints import Checkpoints
from infra.local.sagemaker.trainings.descriptions import DEFAULT_RUNTIME_S
from infra.local.sagemaker.trainings.paths import CHECKPOINTS, Folders
from infra.local.sagemaker.trainings.states import Job, Jobs

GROUP = "/aws/sagemaker/TrainingJobs"
REASON_BYTES = 1024  # Source: your-algorithms-training-algo-output
# Source: aws/sagemaker-python-sdk issue 1968.
NO_IMAGE = (
    "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
    "incorrect."
)
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."
_log = logging.getLogger(__name__)


class PullFailed(Exception):
    """The execution role may not pull the image; the message is the job's FailureReason."""


class _Ended(Exception):
    """The job is to stop, or the local cloud itself, before the container was started or done."""


class Run:
    """One job's work, from `begin` to the end of its thread. Its methods may be called from any thread."""

    def __init__(self, cloud: Cloud, jobs: Jobs, job: Job) -> None:
        self._cloud, self._jobs, self._job, self._key = cloud, jobs, job, job.key
        self._caller = job.caller.assuming(job.request["RoleArn"])
        self._engine = engines.of(cloud.settings)
        place = cloud.settings.places / f"training-{secrets.token_hex(8)}"
        self._folders = Folders(place, literal=self._engine.has_paths)
        self._log = LogStream(cloud, self._caller, GROUP, f"{job.name}/{container.HOST}-{int(time.time())}")
        self._wanted = metrics.definitions(job.request["AlgorithmSpecification"].get("MetricDefinitions", ()))
        self._metrics: dict[str, metrics.Reading] = {}
        self._checkpoints = _checkpoints(cloud, self._caller, job, self._folders)
        self._lock = threading.Lock()
        self._process: engines.Running | None = None
        self._asked = threading.Event()  # to stop
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=f"training {job.name}", daemon=True)

    def begin(self) -> None:
        """Starts the work."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """SIGTERM, SIGKILL `grace_s` seconds later; what the script saved by then is uploaded as ever."""
        with self._lock:
            self._asked.set()
            process = self._process
        if process is not None:
            process.stop(grace_s)

    def abandon(self, grace_s: float) -> None:
        """Stops, uploads nothing, and waits for the end: the local cloud stops."""
        self._abandoned = True
        self.stop(grace_s)
        self._thread.join()

    def _run(self) -> None:
        failure, model = "", ""
        try:
            self._download()
            failure = self._algorithm_failure(self._train())
            model = self._upload(failure)
        except _Ended:
            pass
        except (DownloadFailed, PullFailed) as error:
            failure = self._told(str(error))
        except AwsError as error:
            failure = self._told(f"ClientError: Artifact upload failed:{error}")
        except Exception as error:  # a full disk, or ours: the job must come to rest all the same
            _log.exception("training job %s", self._job.name)
            failure = self._told(f"{INTERNAL} ({error})")
        finally:
            if self._checkpoints:
                self._checkpoints.leave()
            self._log.close()
            remove(self._folders.place)
            self._jobs.end(self._key, failure[:REASON_BYTES], model=model)

    def _download(self) -> None:
        self._enter("Downloading", started=time.time())
        self._pull()
        container.make(self._folders, self._job)
        for one in self._job.request.get("InputDataConfig", ()):
            folder = self._folders.channel(one["ChannelName"])
            source = one["DataSource"]["S3DataSource"]
            for _ in channels.download(self._cloud, self._caller, source, folder):
                self._go_on()
            if one["ChannelName"] in container.PROGRAMS:
                self._folders.rewrite_programs(folder, container.PROGRAMS[one["ChannelName"]])
        if self._checkpoints:
            self._checkpoints.fetch(self._go_on)

    def _pull(self) -> None:
        """Nothing is pulled here, but the role must be allowed to."""
        image = self._job.request["AlgorithmSpecification"].get("TrainingImage", "")
        try:
            self._cloud.check_image(self._caller, image)
        except AwsError as error:
            raise PullFailed(PULL_FAILED.format(role=self._caller.role, image=image)) from error
        try:
            self._engine.check(image)
        except engines.ImageMissing as error:
            self._log.write(str(error))
            raise PullFailed(NO_IMAGE) from error

    def _train(self) -> int:
        """The container's exit status, negative for the signal that ended it."""
        self._enter("Training")
        asked = container.asked(self._folders, self._job, self._cloud.settings)
        if not self._wanted:
            return self._run_to_its_end(asked, self._log.write)
        finder = metrics.Finder(self._wanted, self._note, self._log.write)

        def hear(line: str) -> None:
            self._log.write(line)
            finder.look(line)

        try:
            return self._run_to_its_end(asked, hear)
        finally:
            finder.close()

    def _run_to_its_end(self, asked: engines.Asked, hear: Callable[[str], None]) -> int:
        with self._lock:
            self._go_on()
            self._process = self._engine.start(asked, hear)
        status = self._process.wait(self._seconds_left())
        if status is None:
            self._jobs.stop(self._key, exceeded=True)
            status = self._process.stop(self._cloud.settings.training_stop_grace_s)
        return status

    def _seconds_left(self) -> float:
        limits = self._job.request.get("StoppingCondition", {})
        job = self._jobs.find(self._key)
        assert job is not None
        assert job.started is not None
        most: float = limits.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
        return max(0.0, most - (time.time() - job.started))

    def _note(self, seen: Mapping[str, metrics.Reading]) -> None:
        self._metrics = {**self._metrics, **seen}
        self._jobs.note(self._key, metrics=self._metrics)

    def _algorithm_failure(self, status: int) -> str:
        """The form that public issues show, with the start of what the script wrote."""
        if status == 0:
            return ""
        end = f", exit code: {128 - status if status < 0 else status}"
        said = _start_of(self._folders.failure)
        room = REASON_BYTES - len(f"AlgorithmError: {end}")
        return f"AlgorithmError: {said[:room]}{end}"

    def _upload(self, failure: str) -> str:
        """The model's URL, "" where there is none. A job that failed leaves its output, and no model."""
        if self._abandoned:
            raise _Ended
        self._jobs.enter(self._key, "Uploading")
        if self._checkpoints:
            self._checkpoints.close()
        self._store(self._folders.output, "output.tar.gz")
        job = self._jobs.find(self._key)
        if failure and job is not None and job.status != "Stopping":
            return ""
        return self._store(self._folders.model, "model.tar.gz")

    def _store(self, folder: Path, name: str) -> str:
        archive = artifacts.pack(folder, self._folders.place, self._log.write)
        if archive is None:
            return ""
        path = self._job.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        url = f"{path}/{self._job.name}/output/{name}"
        artifacts.upload(self._cloud, self._caller, archive, url)
        archive.unlink()
        return url

    def _enter(self, phase: str, **changes: float) -> None:
        if not self._jobs.enter(self._key, phase, **changes):
            raise _Ended

    def _go_on(self) -> None:
        if self._asked.is_set():
            raise _Ended

    def _told(self, failure: str) -> str:
        self._log.write(failure)
        return failure


def remove(place: Path) -> None:
    """Removes the folder with all that is in it, folders that a script closed to itself too."""
    for here, folders, _ in os.walk(place):
        for name in folders:
            if not Path(here, name).is_symlink():
                with contextlib.suppress(OSError):
                    Path(here, name).chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)


def _checkpoints(cloud: Cloud, caller: Caller, job: Job, folders: Folders) -> Checkpoints | None:
    given = job.request.get("CheckpointConfig")
    if not given:
        return None
    folder = folders.of(given.get("LocalPath", CHECKPOINTS))
    return Checkpoints(cloud, caller, given["S3Uri"], folder)


def _start_of(failure: Path) -> str:
    if failure.is_symlink() or not failure.is_file():
        return ""
    with failure.open("rb") as file:
        return file.read(REASON_BYTES).decode("utf-8", "ignore").strip()
