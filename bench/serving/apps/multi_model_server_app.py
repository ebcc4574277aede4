"""multi-model-server, which SageMaker's own images run: a worker for each core, no batches. It needs java."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.serving.apps import handling

HERE = Path(__file__).resolve()


class Served:
    """What the server calls a model service; it takes the one class that it finds in this file."""

    initialized = False

    def initialize(self, context: Any) -> None:
        self.answer = handling.loaded()
        self.initialized = True

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        context.set_response_content_type(0, handling.JSON)
        return [handling.encode(self.answer(handling.decode(bytes(one["body"])))) for one in data]


_served = Served()


def handle(data: Any, context: Any) -> Any:
    """The entry point: a call without data comes first and means load."""
    if not _served.initialized:
        _served.initialize(context)
    return None if data is None else _served.handle(data, context)


def _configuration() -> str:
    return (
        f"inference_address=http://127.0.0.1:{handling.PORT}\n"
        f"management_address=http://127.0.0.1:{handling.PORT}\n"
        f"default_workers_per_model={handling.WORKERS}\n"
        "default_service_handler=multi_model_server_app:handle\n"
        "default_response_timeout=120\nmax_request_size=20971520\n"
        # Else it parses JSON before the handler does.
        "decode_input_request=false\nload_models=ALL\n"
    )


if __name__ == "__main__":
    model = handling.SCRATCH / "model"
    model.mkdir()
    shutil.copy(HERE, model)
    settings = handling.SCRATCH / "config.properties"
    settings.write_text(_configuration())
    os.environ["TEMP"] = str(handling.SCRATCH)
    os.chdir(handling.SCRATCH)
    program = Path(sys.executable).with_name("multi-model-server")
    words = ("--start", "--foreground", "--model-store", "/", "--mms-config", str(settings))
    os.execv(program, (str(program), *words, "--models", f"m={model}"))
