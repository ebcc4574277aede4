"""uvicorn with nothing behind it, the HTTP layer's limit: every request gets the one fixed prediction."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

BODY = b'{"predictions":[[' + b",".join([b"0.1"] * 10) + b"]]}"
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(
        "bench.serving.apps.echo:app",
        port=int(os.environ["BENCH_PORT"]),
        workers=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )
