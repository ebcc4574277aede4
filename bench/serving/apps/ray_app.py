"""Ray Serve: as many replicas as cores, and its batches."""

from __future__ import annotations

import os
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.serving.apps import handling


@serve.deployment(
    num_replicas=handling.WORKERS, max_ongoing_requests=128, ray_actor_options={"num_cpus": 0.9}
)
class Served:
    def __init__(self) -> None:
        self.answer = handling.loaded()

    @serve.batch(max_batch_size=handling.BATCH, batch_wait_timeout_s=handling.BATCH_WAIT_S)
    async def predict(self, requests: list[handling.Instances]) -> list[list[Any]]:
        together = [instance for request in requests for instance in request]
        return handling.split(self.answer(together), requests)

    async def __call__(self, request: Request) -> Response:
        if request.url.path == "/ping":
            return Response()
        predictions = await self.predict(handling.decode(await request.body()))
        return Response(handling.encode(predictions), media_type=handling.JSON)


if __name__ == "__main__":
    ray.init(
        num_cpus=handling.WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=500_000_000,
        _temp_dir=str(handling.SCRATCH),
        runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": handling.PORT})
    serve.run(Served.bind(), route_prefix="/")
    while True:
        time.sleep(1)
