"""A Ray Serve application around the runtime, for AWS's image of Ray Serve: config.yaml names `app`."""

from __future__ import annotations

from ray import serve
from slipway_process import OWN, Process  # type: ignore[import-not-found]  # beside it in the archive
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment
class Runtime:
    """One replica: the runtime, whose workers share the machine's cores by themselves."""

    def __init__(self) -> None:
        self._process = Process()
        self._process.install()
        self._process.start()

    def check_health(self) -> None:
        """What Ray asks from time to time."""
        self._process.check()

    async def __call__(self, request: Request) -> Response:
        """The runtime's answer, with its status and what SageMaker hands on of its headers."""
        answer = await self._process.ask(await request.body(), dict(request.headers))
        kept = {key: value for key, value in answer.headers.items() if key.startswith(OWN)}
        return Response(answer.content, answer.status_code, kept, answer.headers.get("content-type"))

    def __del__(self) -> None:
        self._process.stop()


app = Runtime.bind()  # type: ignore[attr-defined]  # ray's decorator has no types
