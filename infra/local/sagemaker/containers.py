"""One container of an endpoint or a job: the model's archive unpacked, the image's command run and pinged.

Source of what a container gets and must do: SageMaker's developer guide, your-algorithms-inference-code.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local import archives, engines, processes
from infra.local.cloud import Caller, Cloud
from infra.local.containers import (
    RESTART_FIRST_S,
    RESTART_MOST_S,
    Serving,
    answers,
    standard_environment,
)
from infra.local.engines.asked import Folder
from infra.local.errors import AwsError
from infra.local.sagemaker.logs import LogStream
from infra.local.settings import Settings

GROUP = "/aws/sagemaker/Endpoints/"
PING_FAILED = (
    "The primary container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
DOWNLOAD_FAILED = (
    'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there '
    "is an object located at the URL and that the role passed to CreateModel has permissions to download the "
    "object."
)
# Source: aws/deep-learning-containers issue 759.
PULL_FAILED = "The role '{role}' does not have BatchGetImage permission for the image: '{image}'."
# Source: aws/sagemaker-python-sdk issue 1835.
NO_IMAGE = (
    "Please make sure all images included in the model for the production variant {variant} exist, and that "
    "the execution role used to create the model has permissions to access them."
)
EXTRACT_FAILED = (
    'Failed to extract model data archive from URL "{url}". Please ensure that the object located at the URL '
    "is a valid tar.gz archive."
)
_log = logging.getLogger(__name__)


class StartFailed(Exception):
    """A container cannot serve; the message is the endpoint's, or the job's, FailureReason."""


@dataclass(frozen=True)
class Owner:
    """What a container belongs to, and so where its output goes and how it fails.

    `log_stream` has "{instance}" where the instance's id goes. `variant` is "" but for an endpoint.
    """

    kind: str
    name: str
    log_group: str
    log_stream: str
    ping_failed: str
    variant: str = ""


def of_endpoint(name: str, variant: str) -> Owner:
    """An endpoint's production variant."""
    return Owner(
        kind="endpoint",
        name=name,
        log_group=GROUP + name,
        log_stream=f"{variant}/{{instance}}",
        ping_failed=PING_FAILED.format(variant=variant),
        variant=variant,
    )


@dataclass(frozen=True)
class ContainerSpec:
    """What one container is made of. `model_data` is an s3:// URL, or "" for an image with its own model.

    `caller` assumes the execution role.
    """

    caller: Caller
    owner: Owner
    image: str
    model_data: str
    environment: Mapping[str, str]
    startup_s: float


class Container(Serving):
    """One container, from `start` to `stop`. Its methods may be called from any thread."""

    def __init__(self, cloud: Cloud, spec: ContainerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.instance = f"i-{secrets.token_hex(9)[:17]}"
        self.port = 0
        self.failed_restarts = 0  # in a row
        self.log_stream = spec.owner.log_stream.format(instance=self.instance)
        self.log = LogStream(cloud, spec.caller, spec.owner.log_group, self.log_stream)
        self._cloud = cloud
        self._place = cloud.settings.places / self.instance
        self._engine = engines.of(cloud.settings)
        self._process: engines.Running | None = None
        self._stopping = threading.Lock()

    def start(self) -> None:
        """Returns once the container answers /ping; raises StartFailed as soon as it is known that it won't.

        Every line of a failed container's output is in CloudWatch Logs before the exception is raised.
        """
        try:
            self._bring_up()
        except StartFailed:
            self.log.flush()
            if self._closing.is_set():  # stopped while it was unpacked
                _remove(self._place)
            raise
        self.healthy = True
        threading.Thread(target=self._attend, name=f"attend {self.instance}", daemon=True).start()

    def stop(self) -> None:
        """SIGTERM, SIGKILL after the grace; then nothing of the container is left but its log.

        Of several at once each returns when it is gone.
        """
        self._closing.set()
        self.healthy = False
        with self._idle:
            process = self._process
        with self._stopping:
            if process is not None:
                process.stop(self._cloud.settings.stop_grace_s)
            self.log.close()
            _remove(self._place)

    def _bring_up(self) -> None:
        try:
            self._pull()
            self._unpack()
            self._launch()
        except OSError as error:  # no room for its directories, no more processes
            raise self._failed("The container could not be started.", error) from error
        self._await_first_ping()

    def _pull(self) -> None:
        """Nothing is pulled here, but the role must be allowed to."""
        image = self.spec.image
        try:
            self._cloud.check_image(self.spec.caller, image)
        except AwsError as error:
            raise self._failed(PULL_FAILED.format(role=self.spec.caller.role, image=image), error) from error
        try:
            self._engine.check(image)
        except engines.ImageMissing as error:
            raise self._failed(NO_IMAGE.format(variant=self.spec.owner.variant), error) from error

    def _unpack(self) -> None:
        model = self._place / "opt" / "ml" / "model"
        for folder in (model, self._place / "home", self._place / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        if not self.spec.model_data:
            return
        url = self.spec.model_data
        try:
            unpack_object(self._cloud, self.spec.caller, url, model)
        except AwsError as error:
            raise self._failed(DOWNLOAD_FAILED.format(url=url), error) from error
        except archives.ArchiveError as error:
            raise self._failed(EXTRACT_FAILED.format(url=url), error) from error
        _make_read_only(model)

    def _failed(self, text: str, cause: Exception) -> StartFailed:
        self.log.write(f"{text} ({cause})")
        return StartFailed(f"{text} ({cause})"[:1024])

    def _launch(self) -> None:
        port = processes.free_port()
        settings = self._cloud.settings
        command = processes.Command(
            argv=settings.command_of(self.spec.image),
            env=environment_of(self.spec, settings, self._place, port),
            cwd=self._place,
            name=self.instance,
        )
        with self._idle:
            if self._closing.is_set():
                raise StartFailed(f"The {self.spec.owner.kind} was stopped.")
            self._process = self._engine.start(self._asked(command, port), self.log.write)
            self.port = port

    def _asked(self, command: processes.Command, port: int) -> engines.Asked:
        model = Folder(self._place / "opt" / "ml" / "model")
        return engines.Asked(
            command=command,
            image=self.spec.image,
            words=("serve",),
            environment=platform_environment(self.spec),
            folders={"/opt/ml/model": model},
            port=port,
        )

    def _await_first_ping(self) -> None:
        settings = self._cloud.settings
        deadline = time.monotonic() + self.spec.startup_s
        while time.monotonic() < deadline and not self._closing.is_set():
            if self._ended(settings.start_poll_s) is not None:
                break
            if answers(self.port, "/ping", settings.ping_timeout_s):
                return
        raise StartFailed(self.spec.owner.ping_failed)

    def _ended(self, timeout: float) -> int | None:
        assert self._process is not None
        return self._process.wait(timeout)

    def _attend(self) -> None:
        """While in service: one that does not answer its ping gets no traffic, one that died is restarted."""
        settings, pause = self._cloud.settings, RESTART_FIRST_S
        while not self._closing.is_set():
            if self._ended(settings.ping_interval_s) is None:
                self.healthy = (
                    answers(self.port, "/ping", settings.ping_timeout_s) and not self._closing.is_set()
                )
                pause = RESTART_FIRST_S if self.healthy else pause
                continue
            self.healthy = False
            if not self._closing.wait(pause):
                pause = min(2 * pause, RESTART_MOST_S)
                self._restart()

    def _restart(self) -> None:
        _log.warning("%s of %s ended and is started again", self.instance, self.spec.owner.name)
        try:
            self._launch()
            self._await_first_ping()
        except StartFailed:
            self.failed_restarts += 1
            return
        self.failed_restarts = 0
        self.healthy = not self._closing.is_set()


def unpack_object(cloud: Cloud, caller: Caller, url: str, destination: Path) -> None:
    """Unpacks the s3:// archive as it is read. Raises AwsError (no such object) or ArchiveError."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    settings = cloud.settings
    limits = archives.Limits(settings.archive_bytes, settings.archive_members)
    with cloud.open_object(caller, bucket, key) as stream:
        archives.unpack(stream, destination, limits)


def environment_of(spec: ContainerSpec, settings: Settings, place: Path, port: int) -> dict[str, str]:
    """The container's whole environment: nothing of the local cloud's own goes in."""
    standard = standard_environment(settings, place)
    return {**standard, "SAGEMAKER_BIND_TO_PORT": str(port), **platform_environment(spec)}


def platform_environment(spec: ContainerSpec) -> dict[str, str]:
    """What SageMaker itself sets, and what the model does."""
    region = spec.caller.region
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, **spec.environment}


def _make_read_only(model: Path) -> None:
    # In the cloud /opt/ml/model is read-only: a handler that writes there must fail here too.
    for path in [model, *model.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _remove(place: Path) -> None:
    model = place / "opt" / "ml" / "model"
    for path in [model, *model.rglob("*")] if model.is_dir() else []:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(place, ignore_errors=True)
