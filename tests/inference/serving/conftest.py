"""A tiny handler project in a temporary folder, served by the real process on a free port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from waiting import until

KIT = Path(__file__).parents[3]
# Answers an instance with itself, so that what arrived can be seen; a few words make it misbehave.
ECHO = """
import os
import time

class Handler:
    def load(self, model_dir):
        pass

    def preprocess(self, instances):
        for instance in instances:
            if instance == "refuse":
                raise ValueError("no instance like this")
        return instances

    def predict(self, inputs):
        for instance in inputs:
            if instance == "fail":
                raise RuntimeError("the model broke")
            if instance == "exit":
                raise SystemExit(3)
            if instance == "drop":
                return []
            if instance == "nan":
                return [float("nan")] * len(inputs)
            if instance == "nested":
                return [[[1, 2]]] * len(inputs)
            if isinstance(instance, dict) and "until" in instance:
                while not os.path.exists(instance["until"]):
                    time.sleep(0.01)
            if isinstance(instance, dict) and "spin" in instance:
                while not os.path.exists(instance["spin"]):
                    sum(range(100_000))
        return inputs
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]["message"]


@dataclass
class Served:
    """A running server, its port and its log."""

    process: subprocess.Popen[bytes]
    log_path: Path
    port: int = 0

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> Answer:
        return self.call("POST", "/invocations", body, Content_Type=content_type, **headers)

    def metric(self, name: str) -> float:
        """One sample of /metrics; 0 where it was never set."""
        text = self.call("GET", "/metrics").body.decode()
        return next(
            (float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0
        )

    def ping(self) -> int:
        return self.call("GET", "/ping").status

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def rest(self, connection: socket.socket) -> bytes:
        """Everything that comes until the server closes."""
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def wait_ready(self) -> Served:
        until(lambda: self.process.poll() is not None or self.ping() == 200)
        assert self.process.poll() is None, self.log
        return self

    def status(self) -> int:
        """The exit status, once the process has ended by itself."""
        return self.process.wait(20)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.status()


class Callers:
    """Requests that run at the same time, each in a thread, and their answers."""

    def __init__(self, served: Served, bodies: list[Any]) -> None:
        self.answers: list[Answer] = []
        self._threads = [
            threading.Thread(target=lambda b=body: self.answers.append(served.post(json.dumps(b).encode())))
            for body in bodies
        ]
        for thread in self._threads:
            thread.start()

    def statuses(self) -> list[int]:
        """All their statuses, once they all have one."""
        for thread in self._threads:
            thread.join(20)
        return sorted(answer.status for answer in self.answers)


@pytest.fixture
def call_together() -> type[Callers]:
    return Callers


@pytest.fixture(autouse=True)
def handlers_are_forgotten() -> Iterator[None]:
    """A handler that a test loads in this process is not the next test's."""
    yield
    sys.modules.pop("handler", None)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    return until


def project(folder: Path, files: dict[str, str | None]) -> Path:
    """A model folder as the container sees it, with these files in code/; its SAGEMAKER_BASE_DIR."""
    code = folder / "opt/ml/model/code"
    code.mkdir(parents=True)
    for name, text in files.items():
        if text is not None:
            (code / name).write_text(text)
    return folder / "opt/ml"


def start(base: Path, through: Sequence[str] = (), **environment: str) -> Served:
    """Start the runtime as the container does, without waiting for more than its port; `through` is a command
    that runs the one behind it."""
    work = base.parents[1] / "work"
    work.mkdir(exist_ok=True)
    log_path = work / f"log-{time.monotonic_ns()}"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*through, sys.executable, "-m", "inference.serving", "serve"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(KIT),
                "PYTHONUNBUFFERED": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "SAGEMAKER_BASE_DIR": str(base),
                "SAGEMAKER_BIND_TO_PORT": "0",
                **environment,
            },
            cwd=work,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    served = Served(process, log_path)
    until(lambda: "listening on" in served.log or process.poll() is not None)
    if found := re.search(r"listening on http://[^ ]+:(\d+)", served.log):
        served.port = int(found[1])
    return served


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start servers that end with the test: serve(handler, samples, {sibling: text}, VARIABLE=value)."""
    started: list[Served] = []

    def begin(
        handler: str | None = ECHO,
        samples: str | None = None,
        siblings: dict[str, str] | None = None,
        through: Sequence[str] = (),
        **environment: str,
    ) -> Served:
        files = {"handler.py": handler, "samples.jsonl": samples, **(siblings or {})}
        base = project(tmp_path / str(len(started)), files)
        started.append(start(base, through, **environment))
        return started[-1]

    yield begin
    end(started)


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One echoing server for all tests that leave it as it was."""
    base = project(tmp_path_factory.mktemp("echo"), {"handler.py": ECHO})
    served = start(base, SLIPWAY_MAX_BODY_MB="2", SLIPWAY_HEADER_TIMEOUT_S="0.5", SLIPWAY_BODY_TIMEOUT_S="1")
    yield served.wait_ready()
    end([served])


@pytest.fixture(scope="session")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same in a transform job that keeps errors, whose CSV has the header "a,b", and that joins."""
    base = project(tmp_path_factory.mktemp("keeping"), {"handler.py": ECHO})
    batch = {"ON_ERROR": "keep", "HEADER": "a,b", "JOIN": "input"}
    served = start(
        base, SAGEMAKER_BATCH="true", **{f"SLIPWAY_BATCH_{name}": value for name, value in batch.items()}
    )
    yield served.wait_ready()
    end([served])


def end(servers: list[Served]) -> None:
    for served in servers:
        if served.process.poll() is None:
            served.process.kill()
        served.process.wait(20)
