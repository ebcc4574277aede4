"""MLServer, batching on, as many inference processes as cores. It speaks the Open Inference Protocol (v2)."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.serving.apps import handling


class Served(MLModel):
    async def load(self) -> bool:
        self.answer = handling.loaded()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        found = np.asarray(self.answer(_instances(payload.inputs[0])), dtype="float32")
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("predictions", found)]
        )


def _instances(tensor: Any) -> Any:
    if handling.MODEL == "tiny":
        return NumpyCodec.decode_input(tensor)
    if handling.MODEL == "encoder":
        return StringCodec.decode_input(tensor)
    return [image for text in tensor.data for image in handling.decode(base64.b64decode(text))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_settings() -> None:
    server = {
        "http_port": handling.PORT,
        "grpc_port": _free_port(),
        "metrics_endpoint": None,
        "parallel_workers": handling.WORKERS,
        "debug": False,
        "access_log": False,
    }
    model = {
        "name": "m",
        "implementation": "bench.serving.apps.mlserver_app.Served",
        "max_batch_size": handling.BATCH,
        "max_batch_time": handling.BATCH_WAIT_S,
    }
    (handling.SCRATCH / "settings.json").write_text(json.dumps(server))
    (handling.SCRATCH / "model-settings.json").write_text(json.dumps(model))


if __name__ == "__main__":
    _write_settings()
    program = Path(sys.executable).with_name("mlserver")
    os.execv(program, (str(program), "start", str(handling.SCRATCH)))
