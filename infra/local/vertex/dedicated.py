"""Where dedicated endpoints answer: HTTPS on a port of its own, opened when the first one is made.

Google's SDK calls `https://` + dedicatedEndpointDns whatever the API's address is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from infra.local import listening
from infra.local.asgi import Receive, Scope, Send, header, send_answer
from infra.local.settings import Settings
from infra.local.vertex import certificates
from infra.local.vertex.api import path_of
from infra.local.vertex.errors import GoogleError, as_answer
from infra.local.vertex.predictions import predicts

OPEN_S = 20.0


class Listener:
    """The port; it serves on that event loop."""

    def __init__(self, settings: Settings, front: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._settings, self._front, self._loop = settings, front, loop
        self._lock = asyncio.Lock()
        self._server: Any = None
        self._serving: asyncio.Task[None] | None = None
        self._dns = ""

    def dns(self) -> str:
        """HOST:PORT of dedicated endpoints, open from here on. Not to be called on the event loop."""
        return self._dns or asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(OPEN_S)

    async def close(self) -> None:
        """Closes the port."""
        if self._serving:
            self._server.should_exit = True
            await self._serving

    async def _open(self) -> str:
        import uvicorn

        class Server(uvicorn.Server):
            """uvicorn, without its own signal handlers: the local cloud has its own."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        async with self._lock:
            if self._dns:
                return self._dns
            certificate, key = await asyncio.to_thread(certificates.ensure, self._settings.home)
            listener = listening.listen(0)
            config = uvicorn.Config(
                self._answer,
                interface="asgi3",
                proxy_headers=False,  # `scope["scheme"]` says which of the two ports it is
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
            self._server = Server(config)
            self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
            while not (self._server.started or self._serving.done()):
                await asyncio.sleep(0.005)
            self._dns = f"localhost:{listener.getsockname()[1]}"
            return self._dns

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predictions alone; and no web page's, as at the local cloud's other port."""
        if scope["type"] == "http":
            await self._answer_http(scope, receive, send)

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        port = self._dns.rpartition(":")[2]
        hosts = {f"localhost:{port}", f"127.0.0.1:{port}"}
        if header(scope, b"host") not in hosts or header(scope, b"origin"):
            refusal = GoogleError("PERMISSION_DENIED", f"This is {self._dns}; no web page may use it.")
        elif not predicts(scope["method"], path_of(scope["path"])):
            refusal = GoogleError("NOT_FOUND", f"{scope['path']} is not served on a dedicated endpoint.")
        else:
            await self._front(scope, receive, send)
            return
        await send_answer(send, as_answer(refusal))
