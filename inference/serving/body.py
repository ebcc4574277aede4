"""A request's body, read within bounds of size, time and number of chunks.

A refused body is read on and thrown away, within bounds too: a connection closed over unread bytes is reset,
and its client would see that instead of the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from inference.serving.errors import BadBody, TooLarge, TooSlow
from inference.serving.settings import Settings

# Far above what clients send in one request; one-byte chunks cost a parser fifty times what they carry.
MAX_CHUNKS = 65_536
# How much of a refused body is worth reading so that its client hears why.
DISCARD_BODIES = 8


class ClientGone(Exception):
    """The client has left; there is nobody to answer."""


class Body:
    """Read at most once, by read() or discard(); the time allowed counts from the first of them."""

    def __init__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], settings: Settings
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._settings = settings
        self._deadline: float | None = None
        self._whole = False
        self._gone = False

    async def read(self) -> bytes | bytearray:
        """The whole body. TooLarge before a byte is read where Content-Length says so; BadBody for a flood of
        chunks, TooSlow, ClientGone."""
        limit = self._settings.max_body
        declared = self._header(b"content-length")
        if declared is not None and int(declared) > limit:
            raise self._too_large(f"{int(declared)} bytes")
        try:
            async with asyncio.timeout_at(self._due()):
                return await self._collected(limit)
        except TimeoutError:
            seconds = self._settings.body_timeout_s
            raise TooSlow(f"the body took more than {seconds:g} s (SLIPWAY_BODY_TIMEOUT_S)") from None

    async def discard(self) -> bool:
        """Read what is left, up to a limit, and drop it; whether the connection can take another request."""
        if self._whole:
            return True
        if self._gone or self._header(b"expect") is not None:
            # A client that asks before it sends is told no by the answer itself.
            return False
        left = self._settings.max_body * DISCARD_BODIES
        try:
            async with asyncio.timeout_at(self._due()):
                while left > 0 and not self._whole:
                    left -= len(await self._chunk())
        except (TimeoutError, ClientGone):
            return False
        return self._whole

    async def _collected(self, limit: int) -> bytes | bytearray:
        body: bytes | bytearray = await self._chunk()
        while not self._whole:
            if isinstance(body, bytes):
                body = bytearray(body)
            self._check(len(body), limit)
            body += await self._chunk()
        self._check(len(body), limit)
        return body

    def _check(self, size: int, limit: int) -> None:
        if size > limit:
            raise self._too_large(f"more than {limit} bytes")
        if self._scope["state"]["connection"].chunks > MAX_CHUNKS:
            raise BadBody(f"the body came in more than {MAX_CHUNKS} chunks; expected fewer and larger ones")

    async def _chunk(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
            raise ClientGone
        self._whole = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    def _too_large(self, found: str) -> TooLarge:
        return TooLarge(
            f"the body has {found}; expected up to {self._settings.max_body} (SLIPWAY_MAX_BODY_MB)"
        )

    def _due(self) -> float:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._settings.body_timeout_s
        return self._deadline

    def _header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self._scope["headers"] if key == name), None)
