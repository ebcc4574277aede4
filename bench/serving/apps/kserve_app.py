"""KServe's model server, protocol v1. It takes JSON alone, so it has no part in the image workload."""

from __future__ import annotations

from typing import Any

from kserve import Model, ModelServer

from bench.serving.apps import handling


class Served(Model):
    def __init__(self) -> None:
        super().__init__("m")
        self.load()

    def load(self) -> bool:
        self.answer = handling.loaded()
        self.ready = True
        return True

    def predict(self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None) -> Any:
        return {"predictions": self.answer(payload["instances"])}


if __name__ == "__main__":
    server = ModelServer(
        http_port=handling.PORT, enable_grpc=False, workers=handling.WORKERS, access_log_format=None
    )
    server.start([Served()])
