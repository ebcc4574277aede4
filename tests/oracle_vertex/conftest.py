"""Google's prediction server and our runtime, side by side, each a real process on a port of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environments import VERTEX_SERVER, Environment
from waiting import until

HERE = Path(__file__).parent
KIT = HERE.parents[1]
sys.path.append(str(HERE))
from routine import HANDLER  # noqa: E402 - it lies beside this file, where Google's server finds it, too

ENDPOINT = "/v1/endpoints/12/deployedModels/34"
ROUTES = {"AIP_HEALTH_ROUTE": ENDPOINT, "AIP_PREDICT_ROUTE": f"{ENDPOINT}:predict"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. The content type is without its parameters."""

    status: int
    content_type: str
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A container's process, as Vertex AI reaches it."""

    port: int

    def ask(self, method: str, route: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request; `route` is "health", "predict" or a path."""
        path = ROUTES.get(f"AIP_{route.upper()}_ROUTE", route)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            kind = answer.getheader("content-type", "").partition(";")[0]
            return Answer(answer.status, kind, answer.read())
        finally:
            connection.close()

    @property
    def healthy(self) -> bool:
        try:
            return self.ask("GET", "health").status == 200
        except OSError:
            return False


@contextmanager
def started(command: list[str], place: Path, **environment: str) -> Iterator[Server]:
    """The command as a container of Vertex AI; healthy, and gone in the end with all its children."""
    port = free_port()
    given = {"PATH": os.environ["PATH"], "AIP_MODE": "PREDICTION", "AIP_STORAGE_URI": "", **ROUTES}
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=place,
            env={**given, "AIP_HTTP_PORT": str(port), "HOME": str(place), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(port)
    try:
        until(lambda: server.healthy or process.poll() is not None, 100)
        assert process.poll() is None, (place / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """One that nobody has: a server of Google's takes no 0."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def googles(
    python_of: Callable[[Environment], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """CprModelServer, as the images of custom prediction routines start it."""
    command = [str(python_of(VERTEX_SERVER)), "-m", "google.cloud.aiplatform.prediction.model_server"]
    routine = {
        "HANDLER_MODULE": "google.cloud.aiplatform.prediction.handler",
        "HANDLER_CLASS": "PredictionHandler",
        "PREDICTOR_MODULE": "routine",
        "PREDICTOR_CLASS": "Echo",
        "PYTHONPATH": str(HERE),
        "VERTEX_CPR_WEB_CONCURRENCY": "1",
    }
    with started(command, tmp_path_factory.mktemp("google"), **routine) as server:
        yield server


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The serving runtime."""
    place = tmp_path_factory.mktemp("ours")
    code = place / "ml/model/code"
    code.mkdir(parents=True)
    (code / "handler.py").write_text(HANDLER)
    given = {"PYTHONPATH": str(KIT), "PYTHONDONTWRITEBYTECODE": "1", "SAGEMAKER_BASE_DIR": str(place / "ml")}
    with started([sys.executable, "-m", "inference.serving", "serve"], place, **given) as server:
        yield server
