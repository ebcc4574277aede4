"""What a custom handler knows of FastAPI, where that is not installed: Request, Response, HTTPException.

The serving image has neither it nor Starlette. What of theirs is not here belongs in a handler's
requirements.txt as fastapi: then the real ones are imported, and run by asgi.py all the same.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

Pairs = list[tuple[bytes, bytes]]


class Headers(MutableMapping[str, str]):
    """Headers by name, in any case; a name that came several times is its first."""

    def __init__(self, headers: Mapping[str, str] | None = None, *, raw: Pairs | None = None) -> None:
        given = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in (headers or {}).items()]
        self.raw: Pairs = [(name.lower(), value) for name, value in (given if raw is None else raw)]

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        for found, value in self.raw:
            if found == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self.pop(name, None)
        self.raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def __delitem__(self, name: str) -> None:
        self[name]  # noqa: B018 - KeyError where it is not there
        wanted = name.lower().encode("latin-1")
        self.raw[:] = [pair for pair in self.raw if pair[0] != wanted]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self.raw))

    def __len__(self) -> int:
        return len({name for name, _ in self.raw})


class HTTPException(Exception):
    """Starlette's: an answer with this status, raised."""

    def __init__(
        self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status_code = status_code
        self.detail = HTTPStatus(status_code).phrase if detail is None else detail
        self.headers = headers
        super().__init__(status_code, self.detail)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


class FastAPIHTTPException(HTTPException):
    """FastAPI's own, which is the one that Google's server lets through."""


FastAPIHTTPException.__name__ = FastAPIHTTPException.__qualname__ = "HTTPException"


class Request:
    """One HTTP request, made of an ASGI scope and what receives its body."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Any = None, send: Any = None) -> None:
        self.scope = scope
        self.headers = Headers(raw=list(scope["headers"]))
        self.method: str = scope["method"]
        self.query_params: dict[str, str] = {}
        self._receive = receive
        self._body: bytes | None = None

    async def body(self) -> bytes:
        if self._body is None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self._body

    async def json(self) -> Any:
        return json.loads(await self.body())

    async def stream(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            more = message.get("more_body", False)
            yield message.get("body", b"")


class Response:
    """An answer: itself an ASGI application that sends it."""

    media_type: str | None = None

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: Any = None,
    ) -> None:
        self.status_code = status_code
        self.media_type = media_type or self.media_type
        self.background = background
        self.headers = Headers(headers)
        if self.media_type is not None and "content-type" not in self.headers:
            self.headers["content-type"] = _with_charset(self.media_type)
        self.body = self.render(content)

    def render(self, content: Any) -> bytes:
        if content is None:
            return b""
        if isinstance(content, bytes | memoryview):
            return bytes(content)
        encoded: bytes = content.encode("utf-8")
        return encoded

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.headers.raw}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})
        if self.background is not None:
            await self.background()


class PlainTextResponse(Response):
    media_type = "text/plain"


class HTMLResponse(Response):
    media_type = "text/html"


class JSONResponse(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")


class StreamingResponse(Response):
    """An answer in pieces, from an iterator that may be asynchronous."""

    def render(self, content: Any) -> bytes:
        self.body_iterator = content
        return b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.body = b"".join([_bytes(piece) async for piece in _each(self.body_iterator)])
        await super().__call__(scope, receive, send)


def _with_charset(media_type: str) -> str:
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        return f"{media_type}; charset=utf-8"
    return media_type


def _bytes(piece: Any) -> bytes:
    return piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)


async def _each(pieces: Any) -> AsyncIterator[Any]:
    if hasattr(pieces, "__aiter__"):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece


_RESPONSES = {
    found.__name__: found
    for found in (Response, PlainTextResponse, HTMLResponse, JSONResponse, StreamingResponse)
}
# Module names, and what stands in there.
MODULES: dict[str, dict[str, Any]] = {
    "fastapi": {"HTTPException": FastAPIHTTPException, "Request": Request, "Response": Response},
    "fastapi.exceptions": {"HTTPException": FastAPIHTTPException},
    "fastapi.requests": {"Request": Request},
    "fastapi.responses": _RESPONSES,
    "starlette.datastructures": {"Headers": Headers},
    "starlette.exceptions": {"HTTPException": HTTPException},
    "starlette.requests": {"Request": Request},
    "starlette.responses": _RESPONSES,
}
