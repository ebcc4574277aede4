"""One HTTP connection: uvicorn's, with the limits it lacks.

uvicorn waits for ever for headers, lets them grow without bound, and tells nobody that a client has left
until it is asked. Bodies are bounded in body.py, which reads them; what they take on the wire, here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from inference.serving import exchange
from inference.serving.errors import BadBody, Refusal, TooSlow

_MAX_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Seconds for a request's headers; bytes that one request may take on the wire, framing included."""

    header_timeout_s: float
    wire_bytes: int


class HeadersTooLarge(Refusal):
    """More header bytes than any caller of ours has reason to send."""

    status = 431
    code = "headers_too_large"


def protocol(limits: Limits) -> type[Connection]:
    """The connection class for these limits, as uvicorn's configuration wants it."""
    return type("LimitedConnection", (Connection,), {"limits": limits})


class Connection(HttpToolsProtocol):
    """A connection that ends when its client is slow, and says when its client has gone."""

    limits: ClassVar[Limits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chunks = 0
        self.on_gone: Callable[[], None] | None = None
        self._begun = False
        self._in_headers = False
        self._in_body = False
        self._received = 0
        self._headers_due: asyncio.TimerHandle | None = None

    def watch(self, on_gone: Callable[[], None] | None) -> None:
        """Call on_gone when the client leaves. Reading goes on for that, unless the next request is here."""
        self.on_gone = on_gone
        if on_gone is not None and not self.pipeline:
            self.flow.resume_reading()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        if self.on_gone is not None:
            self.on_gone()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        self._begun = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._check_size()
        # Empty lines before a request begin nothing, and must not keep a connection for ever.
        if self._in_headers or not (self._begun or self._in_body or self._busy):
            self._arm()
        else:
            self._disarm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = self._in_headers = True
        self._received = self.chunks = 0
        self.scope["state"]["connection"] = self

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body is no header: it would replace one, and there may be millions.
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers, self._in_body = False, True
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self.chunks += 1

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._end_with(BadBody("the request is not valid HTTP/1.1"))

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _check_size(self) -> None:
        if self._in_headers and self._received > _MAX_HEADER_BYTES:
            self._end_with(HeadersTooLarge(f"more than {_MAX_HEADER_BYTES} bytes of headers"))
        elif self._in_body and self._received > self.limits.wire_bytes:
            self.transport.close()

    def _arm(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(self.limits.header_timeout_s, self._headers_late)

    def _disarm(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _headers_late(self) -> None:
        self._headers_due = None
        if self.transport.is_closing():
            return
        if self._busy:
            self._arm()
        elif self._in_headers:
            seconds = self.limits.header_timeout_s
            self._end_with(TooSlow(f"headers took more than {seconds:g} s (SLIPWAY_HEADER_TIMEOUT_S)"))
        else:
            self.transport.close()

    def _end_with(self, refusal: Refusal) -> None:
        """Answer below ASGI, where no request was made yet, and close."""
        reply = exchange.refused(refusal)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            reply.body
        )
        self.transport.write(STATUS_LINE[reply.status] + head + reply.body)
        self.transport.close()
