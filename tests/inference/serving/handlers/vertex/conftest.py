"""Predictor files, loaded by us without Google's SDK and by Google's own server with it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environments import VERTEX_SERVER, Environment

from inference.serving.handlers import Answer, Call, vertex

SDK = ("google.cloud.aiplatform", "fastapi", "starlette")
SERVER = Path(__file__).with_name("cpr_server.py")


@dataclass(frozen=True)
class Routine:
    """A model folder with a file of code, and which of its classes serve."""

    model_dir: Path
    entry: vertex.Entry

    @property
    def environment(self) -> dict[str, str]:
        """What CPR's container is given."""
        names = {
            "AIP_STORAGE_URI": str(self.model_dir),
            "AIP_HTTP_PORT": "8080",
            "AIP_HEALTH_ROUTE": "/ping",
            "AIP_PREDICT_ROUTE": "/predict",
            "PYTHONPATH": str(self.model_dir / "code"),
        }
        handler = self.entry.handler or "google.cloud.aiplatform.prediction.handler:PredictionHandler"
        names["HANDLER_MODULE"], _, names["HANDLER_CLASS"] = handler.partition(":")
        if self.entry.predictor:
            names["PREDICTOR_MODULE"], _, names["PREDICTOR_CLASS"] = self.entry.predictor.partition(":")
        return names


class GooglesServer:
    """CprModelServer, serving one routine in a process of its own."""

    def __init__(self, routine: Routine, place: Path, python: Path) -> None:
        with (place / "log").open("w") as log:
            self.process = subprocess.Popen(
                [str(python), str(SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=place,
                env={**os.environ, **routine.environment},
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", (place / "log").read_text()

    def answer(self, call: Call) -> Answer:
        """What Google's server sends for this request."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        given = {"content-type": call.content_type, "accept": call.accept, **call.headers}
        headers = [(name, value) for name, value in given.items() if value]
        line = {"headers": headers, "body": base64.b64encode(call.body).decode()}
        print(json.dumps(line), file=self.process.stdin, flush=True)
        sent: dict[str, Any] = json.loads(self.process.stdout.readline())
        headers = dict(sent["headers"])
        kind = headers.pop("content-type", "")
        headers.pop("content-length", None)
        return Answer(sent["status"], base64.b64decode(sent["body"]), kind, headers)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait(30)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def routine(tmp_path: Path) -> Callable[..., Routine]:
    """Writes a model folder with code/predictor.py; further files by their names in it."""

    def write(source: str, entry: vertex.Entry, **files: str | bytes) -> Routine:
        model_dir = tmp_path / "model"
        (model_dir / "code").mkdir(parents=True)
        (model_dir / "code/predictor.py").write_text(source)
        for name, content in files.items():
            path = model_dir / name.replace("__", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Routine(model_dir, entry)

    return write


@pytest.fixture
def load(interpreter: Callable[..., None]) -> Callable[[Routine], vertex.VertexHandler]:
    """Loads a routine as the serving image does: without the SDK."""

    def without_sdk(routine: Routine) -> vertex.VertexHandler:
        interpreter(*SDK)
        return vertex.load(routine.model_dir, routine.entry)

    return without_sdk


@pytest.fixture
def googles(
    python_of: Callable[[Environment], Path], tmp_path: Path
) -> Iterator[Callable[[Routine], GooglesServer]]:
    """Starts Google's server on a routine."""
    started: list[GooglesServer] = []
    python = python_of(VERTEX_SERVER)

    def start(routine: Routine) -> GooglesServer:
        place = tmp_path / f"google-{len(started)}"
        place.mkdir()
        started.append(GooglesServer(routine, place, python))
        return started[-1]

    yield start
    for server in started:
        server.close()
