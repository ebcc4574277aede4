"""A serving container of a deployed model or a batch job: its command as a process under Vertex's contract.

Source: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements. The runtime downloads its
model from AIP_STORAGE_URI itself.
"""

from __future__ import annotations

import http.client
import logging
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local import engines, environments, processes
from infra.local.containers import (
    RESTART_FIRST_S,
    RESTART_MOST_S,
    Serving,
    answers,
    standard_environment,
)
from infra.local.settings import Settings
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.logs import LogStream

Json = dict[str, Any]
LIVENESS_MISSES = HEALTH_MISSES = 4
EXITED = "Model server exited unexpectedly."
NEVER_READY = (
    "Model server never became ready. Please validate that your model file or container configuration "
    "are valid."
)
# Not verified: the text.
NO_IMAGE = "The model's container image cannot be pulled: it does not exist or its permissions are incorrect."
_VARIABLE = re.compile(r"\$(\$|\((?P<name>[^)]+)\))")
_log = logging.getLogger(__name__)


class StartFailed(GoogleError):
    """A container cannot serve; the message has the end of its log."""


@dataclass(frozen=True)
class ServingSpec:
    """What one container is made of.

    `given` is the model's containerSpec as `messages.checked` has it, `storage_uri` its artifactUri or "",
    `route` what the routes begin with where containerSpec names none, `identity` the AIP_* variables that
    say whose it is.
    """

    given: Json
    storage_uri: str
    route: str
    identity: Mapping[str, str] = field(default_factory=dict)

    @property
    def health_route(self) -> str:
        """Where it is asked whether it is healthy."""
        return str(self.given.get("healthRoute") or self.route)

    @property
    def predict_route(self) -> str:
        """Where predictions are posted."""
        return str(self.given.get("predictRoute") or f"{self.route}:predict")


class Container(Serving):
    """One container, from `start` to `stop`. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, url: str, spec: ServingSpec, log: LogStream) -> None:
        super().__init__()
        self.spec = spec
        self.log = log
        self.port = 0
        self.failed_restarts = 0  # in a row
        self._settings, self._url = settings, url
        self._id = f"vertex-{secrets.token_hex(8)}"
        self._place = settings.places / self._id
        self._engine = engines.of(settings)
        self._process: engines.Running | None = None
        self._stopping = threading.Lock()

    def start(self) -> None:
        """Returns once its health route answers 200; raises StartFailed when it is known that it won't."""
        try:
            for folder in ("home", "tmp"):
                (self._place / folder).mkdir(parents=True, exist_ok=True)
            self._engine.check(self.spec.given["imageUri"])
            if self._has_python:
                environments.make(self._place / "env")
            self._launch()
            self._await_health()
        except engines.ImageMissing as error:
            self.stop()
            raise StartFailed("FAILED_PRECONDITION", f"{NO_IMAGE} ({error})") from error
        except OSError as error:  # no room for its directories, no more processes
            self.stop()
            raise StartFailed("INTERNAL", f"The container could not be started: {error}") from error
        except StartFailed:
            self.stop()
            raise
        self.healthy = not self._closing.is_set()
        threading.Thread(target=self._attend, name=f"attend {self._id}", daemon=True).start()

    @property
    def serves(self) -> bool:
        """Whether it is healthy and takes requests."""
        return self.healthy and not self._closing.is_set()

    @property
    def pid(self) -> int:
        """The process whose tree does its work; 0 while there is none."""
        process = self._process
        return process.pid if process else 0

    def stop(self) -> None:
        """SIGTERM, SIGKILL after the grace; then nothing of the container is left but its log."""
        self._closing.set()
        self.healthy = False
        with self._idle:
            process = self._process
        with self._stopping:
            if process is not None:
                process.stop(self._settings.stop_grace_s)
            shutil.rmtree(self._place, ignore_errors=True)

    def post(self, body: bytes, content_type: str, timeout_s: float) -> tuple[int, bytes]:
        """Posts to the predict route and returns status and body. Raises OSError or HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("POST", self.spec.predict_route, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _launch(self) -> None:
        port = processes.free_port()
        env = self._environment(port)
        command = processes.Command(
            argv=argv_of(self.spec.given, self._settings, env), env=env, cwd=self._place, name=self._id
        )
        with self._idle:
            if self._closing.is_set():
                raise StartFailed("CANCELLED", "The container was stopped while it started.")
            self._process = self._engine.start(self._asked(command, port), self.log.write)
            self.port = port

    def _asked(self, command: processes.Command, port: int) -> engines.Asked:
        told, given = self._told(port), self.spec.given
        return engines.Asked(
            command=command,
            image=given["imageUri"],
            words=tuple(expanded(word, told) for word in given.get("args", [])),
            # It has this machine's network, to reach Cloud Storage here: ours is to listen nowhere else.
            environment={**told, "SLIPWAY_HOST": "127.0.0.1"},
            entrypoint=tuple(expanded(word, told) for word in given.get("command", [])),
            port=port,
            on_host=True,
        )

    @property
    def _has_python(self) -> bool:
        """Whether a process is given a Python of its own: for the model's own words, which may be pip's."""
        return bool(self.spec.given.get("command")) and not self._engine.has_paths

    def _told(self, port: int) -> dict[str, str]:
        """What Vertex AI itself sets, and what the model does."""
        contract = {**contract_of(self.spec, port), "STORAGE_EMULATOR_HOST": self._url}
        return {**expanded_env(self.spec.given.get("env", []), contract), **contract}

    def _environment(self, port: int) -> dict[str, str]:
        own = {**standard_environment(self._settings, self._place), "SLIPWAY_HOST": "127.0.0.1"}
        env = {**own, **self._told(port)}
        return environments.variables(self._place / "env", env) if self._has_python else env

    def _await_health(self) -> None:
        deadline = time.monotonic() + startup_s(self.spec.given, self._settings)
        said = NEVER_READY
        while time.monotonic() < deadline and not self._closing.is_set():
            if self._ended(self._settings.start_poll_s) is not None:
                said = EXITED
                break
            if answers(self.port, self.spec.health_route, self._settings.health_timeout_s):
                return
        if self._closing.is_set():
            raise StartFailed("CANCELLED", "The container was stopped while it started.")
        raise StartFailed("FAILED_PRECONDITION", f"{said} Model server logs:\n{self.log.tail()}")

    def _ended(self, timeout: float) -> int | None:
        assert self._process is not None
        return self._process.wait(timeout)

    def _attend(self) -> None:
        """While it serves: four health checks missed in a row stop traffic, four of liveness restart it.

        Liveness is a TCP connection. Source: custom-container-requirements, "Liveness checks" and "Health
        checks". A container that ended is started again at once, then after longer pauses.
        """
        settings, pause, dead, sick = self._settings, RESTART_FIRST_S, 0, 0
        while not self._closing.is_set():
            if self._ended(settings.health_interval_s) is None:
                alive, well = self._checked()
                dead, sick = (0 if alive else dead + 1), (0 if well else sick + 1)
                self.healthy = sick < HEALTH_MISSES and not self._closing.is_set()
                pause = RESTART_FIRST_S if well else pause
                if dead < LIVENESS_MISSES:
                    continue
                self._stop_process()
            self.healthy, dead, sick = False, 0, 0
            if not self._closing.wait(pause):
                pause = min(2 * pause, RESTART_MOST_S)
                self._restart()

    def _checked(self) -> tuple[bool, bool]:
        alive = accepts(self.port, self._settings.health_timeout_s)
        return alive, alive and answers(self.port, self.spec.health_route, self._settings.health_timeout_s)

    def _stop_process(self) -> None:
        if self._process is not None:
            self._process.stop(self._settings.stop_grace_s)

    def _restart(self) -> None:
        _log.warning("%s (%s) ended and is started again", self._id, self.spec.identity)
        try:
            self._launch()
            self._await_health()
        except (StartFailed, OSError):
            self.failed_restarts += 1
            return
        self.failed_restarts = 0
        self.healthy = not self._closing.is_set()


def argv_of(given: Json, settings: Settings, env: Mapping[str, str]) -> tuple[str, ...]:
    """The command: `command` in place of the image's entry point, `args` in place of its last words.

    An image's command by the settings is its entry point, and its arguments where it ends with `serve`.
    """
    command, args = given.get("command", []), given.get("args", [])
    if command:
        return tuple(expanded(word, env) for word in [*command, *args])
    image = settings.command_of(given["imageUri"])
    entry = image[:-1] if args and image[-1] == "serve" else image
    return (*entry, *(expanded(word, env) for word in args))


def contract_of(spec: ServingSpec, port: int) -> dict[str, str]:
    """The AIP_* variables. Source: custom-container-requirements, "Environment variables"."""
    return {
        **spec.identity,
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": spec.health_route,
        "AIP_PREDICT_ROUTE": spec.predict_route,
        "AIP_STORAGE_URI": spec.storage_uri,
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
    }


def expanded_env(entries: Iterable[Json], known: Mapping[str, str]) -> dict[str, str]:
    """A containerSpec's `env`; each value may name what stands before it with $(NAME)."""
    found: dict[str, str] = {}
    for entry in entries:
        found[entry["name"]] = expanded(entry.get("value", ""), {**known, **found})
    return found


def expanded(text: str, env: Mapping[str, str]) -> str:
    """$(NAME) replaced by the variable; an unknown one stays as it is, and $$ is one $.

    Source: ModelContainerSpec.args, which follows Kubernetes.
    """

    def word(match: re.Match[str]) -> str:
        return "$" if match["name"] is None else env.get(match["name"], match[0])

    return _VARIABLE.sub(word, text)


def startup_s(given: Json, settings: Settings) -> float:
    """How long the container may take until it is healthy."""
    text = str(given.get("deploymentTimeout", ""))
    return float(text.removesuffix("s")) if text else settings.deployment_timeout_s


def accepts(port: int, timeout_s: float) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout_s).close()
    except OSError:
        return False
    return True
