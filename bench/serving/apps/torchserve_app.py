"""TorchServe, batching on, as many workers as cores. It needs java."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.serving.apps import handling

HERE = Path(__file__).resolve()


class Served:
    """What TorchServe calls an entry point: a list of requests in, a list of answers out."""

    def initialize(self, context: Any) -> None:
        self.answer = handling.loaded()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
        requests = [_instances(request.get("body", request.get("data"))) for request in data]
        predictions = self.answer([instance for request in requests for instance in request])
        return [{"predictions": one} for one in handling.split(predictions, requests)]


def _instances(body: Any) -> handling.Instances:
    return body["instances"] if isinstance(body, dict) else handling.decode(bytes(body))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configuration() -> str:
    model = (
        f'{{"m": {{"1.0": {{"defaultVersion": true, "marName": "m.mar", "minWorkers": {handling.WORKERS}, '
        f'"maxWorkers": {handling.WORKERS}, "batchSize": {handling.BATCH}, "maxBatchDelay": 5, '
        '"responseTimeout": 120}}}'
    )
    return (
        f"inference_address=http://127.0.0.1:{handling.PORT}\n"
        f"management_address=http://127.0.0.1:{_free_port()}\n"
        f"metrics_address=http://127.0.0.1:{_free_port()}\n"
        f"disable_token_authorization=true\njob_queue_size=1000\nload_models=m.mar\nmodels={model}\n"
    )


if __name__ == "__main__":
    programs = Path(sys.executable).parent
    archive = ("-f", "--model-name", "m", "--version", "1.0", "--handler", str(HERE))
    subprocess.run(
        (str(programs / "torch-model-archiver"), *archive, "--export-path", str(handling.SCRATCH)), check=True
    )
    settings = handling.SCRATCH / "config.properties"
    settings.write_text(_configuration())
    os.environ["LOG_LOCATION"] = os.environ["METRICS_LOCATION"] = str(handling.SCRATCH)
    os.chdir(handling.SCRATCH)
    words = ("--foreground", "--start", "--ncs", "--disable-token-auth", "--model-store", ".")
    os.execv(programs / "torchserve", ("torchserve", *words, "--ts-config", str(settings)))
