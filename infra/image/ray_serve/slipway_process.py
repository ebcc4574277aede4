"""The serving runtime as a process beside Ray: installed, started, asked and stopped. It knows no Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

MODEL = Path(__file__).parent
REQUIREMENTS = "inference/serving/requirements.txt"
TIMEOUT_S = 60.0  # SageMaker's own for an invocation
POLL_S = 0.1
# What AWS's adapter hands on, and takes back. Source: aws/deep-learning-containers, ray/sagemaker_serve.py
PASSED = ("content-type", "accept")
OWN = "x-amzn-sagemaker-"


class Process:
    """The runtime on a port of its own, from `start` to `stop`; what it prints is the container's log."""

    def __init__(self, model: Path = MODEL) -> None:
        self._model = model
        self._running: subprocess.Popen[bytes] | None = None
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S)

    def install(self) -> None:
        """Install what the runtime requires; the handler's requirements the image installs by itself."""
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(self._model / REQUIREMENTS)], check=True)  # noqa: S603 - our own words

    def start(self) -> None:
        """Return once the model answers its samples. RuntimeError where the process ends before."""
        port = _free_port()
        self._client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        self._running = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", "inference.serving", "serve"], env=self._environment(port)
        )
        with httpx.Client(base_url=self._client.base_url, timeout=5) as client:
            while not _pings(client):
                self.check()
                time.sleep(POLL_S)

    def check(self) -> None:
        """RuntimeError once the process has ended: Ray then makes another replica."""
        status = self._running.poll() if self._running else None
        if self._running is None or status is not None:
            raise RuntimeError(f"the runtime is not running (exit status {status}): its log says why")

    async def ask(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """The runtime's answer to a body, whole."""
        passed = {key: value for key, value in headers.items() if key in PASSED or key.startswith(OWN)}
        return await self._client.post("/invocations", content=body, headers=passed)

    def stop(self) -> None:
        """End it as a platform does."""
        if self._running and self._running.poll() is None:
            self._running.terminate()
            self._running.wait()

    def _environment(self, port: int) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": str(self._model),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SAGEMAKER_BASE_DIR": str(self._model.parent),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SLIPWAY_HOST": "127.0.0.1",
        }


def _pings(client: httpx.Client) -> bool:
    try:
        return client.get("/ping").status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
