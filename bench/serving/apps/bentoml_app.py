"""BentoML: a service with adaptive batches. Its typed arguments know no npy: a mounted ASGI app takes it."""

from __future__ import annotations

from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.serving.apps import handling

options: Any = {
    "workers": handling.WORKERS,
    "traffic": {"timeout": 60},
    "logging": {"access": {"enabled": False}},  # else a line a request
}
batching: Any = {
    "route": "/invocations",
    "batchable": True,
    "max_batch_size": handling.BATCH,
    "max_latency_ms": 10_000,
}

if handling.MODEL == "image":
    predict = handling.loaded()

    async def invocations(request: Request) -> Response:
        predictions = predict(handling.decode(await request.body()))
        return Response(handling.encode(predictions), media_type=handling.JSON)

    mounted = Starlette(routes=[Route("/invocations", invocations, methods=["POST"])])

    @bentoml.asgi_app(mounted)
    @bentoml.service(**options)
    class Service:
        @bentoml.api(route="/unused")
        def unused(self, number: int) -> int:  # a service has to have one of its own
            return number

elif handling.MODEL == "encoder":

    @bentoml.service(**options)
    class Service:
        def __init__(self) -> None:
            self.predict = handling.loaded()

        @bentoml.api(**batching)
        def invocations(self, instances: list[str]) -> list[list[float]]:
            return self.predict(instances)

else:

    @bentoml.service(**options)
    class Service:
        def __init__(self) -> None:
            self.predict = handling.loaded()

        @bentoml.api(**batching)
        def invocations(self, instances: list[list[float]]) -> list[list[float]]:
            return self.predict(instances)
