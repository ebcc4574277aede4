"""What answers Google's requests on the local cloud's address: Vertex AI's paths, and Cloud Storage's."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.local.asgi import CallerLeft, Receive, Scope, Send, chunks, send_answer
from infra.local.errors import Answer
from infra.local.project import GOOGLE_PROJECT
from infra.local.vertex import entries, messages, metadata, registry, storage
from infra.local.vertex.api import Json, Path, Route, Vertex, call_of, path_of, unserved
from infra.local.vertex.errors import JSON_TYPE, GoogleError, as_answer, invalid
from infra.local.vertex.predictions import DataPlane, predicts

CONTROL_BYTES = 16 * 1024 * 1024  # more is no control-plane request
CHUNK = 1024 * 1024
THREADS = 32
_log = logging.getLogger(__name__)


class Front:
    """The ASGI application for what `infra.local.vertex.claims`; it answers its own errors."""

    def __init__(
        self, vertex: Vertex, routes: Iterable[Route], data_plane: DataPlane, images: registry.Registry
    ) -> None:
        self._vertex = vertex
        self._registry = images
        self._routes = {(route.method, route.shape): route.handle for route in routes}
        self._data_plane = data_plane
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="google")
        self._warmed = False
        self.project = GOOGLE_PROJECT  # of whoever has asked last for a shell's variables

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            await self._answer(scope, receive, send)
        except GoogleError as error:
            _log.info("%s %s: %s", scope["method"], scope["path"], error)
            await send_answer(send, as_answer(error))
        except CallerLeft:
            _log.info("left before the end: %s %r", scope["method"], scope["path"])
        except Exception as error:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await send_answer(send, as_answer(GoogleError("INTERNAL", f"{type(error).__name__}: {error}")))

    def close(self) -> None:
        """Takes no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if storage.PATHS.match(scope["path"]):
            return await self._store(scope, receive, send)
        if metadata.PATHS.match(scope["path"]):
            return await send_answer(send, metadata.answer(scope["path"], self.project))
        if scope["path"] == entries.PATH:
            asked = _json(await _body(receive, CONTROL_BYTES))
            found = await self._in_thread(entries.listed, self._vertex.logs, asked)
            return await send_answer(send, Answer(200, json.dumps(found).encode(), JSON_TYPE))
        if registry.PATHS.fullmatch(scope["path"]):
            return await send_answer(send, self._registry.pulled(scope["path"]))
        path = path_of(scope["path"])
        if path is None:
            raise unserved(scope["method"], scope["path"])
        if predicts(scope["method"], path):
            return await self._data_plane.predict(scope, path, receive, send)
        body = await _body(receive, CONTROL_BYTES)
        answer = await self._in_thread(self._control, scope, path, body)
        return await send_answer(send, Answer(200, json.dumps(answer).encode(), JSON_TYPE))

    def _control(self, scope: Scope, path: Path, body: bytes) -> Json:
        handle = self._routes.get((scope["method"], path.shape))
        if handle is None:
            raise unserved(scope["method"], scope["path"])
        call = call_of(path, scope["query_string"].decode("latin-1"), _json(body))
        answer = handle(call)
        _log.info("%s %s: 200", scope["method"], scope["path"])
        return answer

    async def _store(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._warm()
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"])
        body = await _body(receive)
        request = storage.Request(scope["method"], target, headers, body)
        answer = await self._in_thread(self._vertex.storage.answer, request)
        await _send_in_pieces(send, answer)

    def _warm(self) -> None:
        """Who uploads a model will soon ask for an endpoint: Google's SDK is imported meanwhile."""
        if not self._warmed:
            self._warmed = True
            asyncio.get_running_loop().run_in_executor(self._threads, _load_quietly)

    async def _in_thread(self, do: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do, *args)


def _load_quietly() -> None:
    try:
        messages.load()
    except GoogleError as error:
        _log.info("%s", error)


def _json(body: bytes) -> Json:
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    if not isinstance(given, dict):
        raise invalid("Invalid JSON payload received. The body is not a JSON object.")
    return given


async def _body(receive: Receive, limit: int | None = None) -> bytes:
    held = bytearray()
    async for chunk in chunks(receive):
        held += chunk
        if limit is not None and len(held) > limit:
            raise invalid(f"Request payload size exceeds the limit: {limit} bytes.")
    return bytes(held)


async def _send_in_pieces(send: Send, answer: Answer) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for at in range(0, len(answer.body), CHUNK):  # so that a slow reader holds us back
        piece = answer.body[at : at + CHUNK]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
