"""One HTTP/1.1 connection, from the bytes of a socket to calls and back, in their order.

httptools parses; this holds a connection to its limits: headers and bodies must arrive in time, headers are
bounded, what is not HTTP is answered and closed, and a client that leaves is noticed at once. There is no
task and no future for a request: at ten thousand of them a second each costs as much as a small model.

What is read goes into memory that all connections share, and from there through the parser. Only a body whose
length was announced goes past both: it is received straight into its place.
Source: RFC 9112
"""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus

import httptools

from inference.serving import exchange
from inference.serving.errors import BadBody, HeadersTooLarge, Refusal, TooSlow
from inference.serving.exchange import Reply
from inference.serving.http import heads
from inference.serving.http.calls import Call, Limits, Service

_MAX_HEADER_BYTES = 64 * 1024
# Longer than a load balancer keeps its connections, so that it is never us who closes one it is about to use.
_KEEP_ALIVE_S = 75.0
_NEW_S = 0.3
_SMALL = 64 * 1024  # bytes that are cheaper to copy than to write in a call of their own
# What is read at once: a request with a small body fits, and of a large one little is copied. Of a body that
# goes through the parser, more.
_READ, _READ_BODY = 16 * 1024, 256 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOT_HTTP = BadBody("the request is not valid HTTP/1.1")
_HEADERS_TOO_LARGE = HeadersTooLarge(f"more than {_MAX_HEADER_BYTES} bytes of headers")


class Wire:
    """What the connections of one server share."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self.service = service
        self.limits = limits
        self.connections: set[Connection] = set()
        self.coming = 0  # accepted, and not among them yet
        # For all: what is read into it has been used when the next read begins.
        self.wide = memoryview(bytearray(_READ_BODY))
        self.narrow = self.wide[:_READ]
        self.loop = asyncio.get_running_loop()
        self._every = max(0.05, min(limits.header_timeout_s, limits.body_timeout_s, 4.0) / 4)
        self._timer = self.loop.call_later(self._every, self._sweep)

    def connection(self) -> Connection:
        """A new connection's protocol."""
        return Connection(self)

    def count(self) -> None:
        """Tell the service how many there are."""
        self.service.connected(len(self.connections) + self.coming)

    def close_idle(self) -> None:
        """Close the connections on which nothing is asked."""
        for connection in list(self.connections):
            connection.close_idle()

    def abort(self) -> None:
        """End every connection, whatever it is at."""
        self._timer.cancel()
        for connection in list(self.connections):
            connection.transport.abort()

    def _sweep(self) -> None:
        # One timer for all: a timer for each request would cost more than the parsing of its headers.
        now = self.loop.time()
        for connection in list(self.connections):
            if connection.deadline < now:
                connection.late()
        self._timer = self.loop.call_later(self._every, self._sweep)


class Connection(asyncio.BufferedProtocol):
    """A connection; its parser calls the methods named on_…"""

    __slots__ = (
        "_calls",
        "_current",
        "_headers",
        "_in_headers",
        "_loop",
        "_new_until",
        "_parser",
        "_receiving",
        "_received",
        "_room",
        "_service",
        "_stopped",
        "_unread",
        "_url",
        "_wire",
        "deadline",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, wire: Wire) -> None:
        self._wire, self._service, self._loop = wire, wire.service, wire.loop
        self._parser = httptools.HttpRequestParser(self)
        self._calls: deque[Call] = deque()  # whole, and not begun
        self._current: Call | None = None  # whole, and being answered
        self._receiving: Call | None = None
        self._room: memoryview | None = None  # where the rest of its body is received
        self._headers: dict[bytes, bytes] = {}
        self._url = b""
        self._in_headers = self._stopped = False
        self._unread = 0  # bytes of answers that the client had not read at the last look
        self._received = 0  # bytes since the first piece of a message's head, or since its end
        self.deadline = self._loop.time() + wire.limits.header_timeout_s
        self._new_until = self._loop.time() + _NEW_S

    # --- The transport's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of a stream
        self._wire.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.connections.discard(self)
        self._wire.count()
        self._stopped = True
        for call in (self._current, *self._calls, self._receiving):
            if call is not None:
                self._abandon(call)
        self._current = self._receiving = self._room = None
        self._calls.clear()

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._room is not None:
            return self._room
        return self._wire.narrow if self._receiving is None else self._wire.wide

    def buffer_updated(self, nbytes: int) -> None:
        if self._room is not None:
            self._fill(self._room, nbytes)
        elif not self._stopped:
            self._parse(self._wire.wide[:nbytes])

    def _parse(self, data: memoryview) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # refused by its header; what follows is not HTTP, and the connection ends with the answer
        except httptools.HttpParserCallbackError as error:
            self._end_with(exchange.unexpected(error.__context__ or error))
        except httptools.HttpParserError:
            self._end_with(exchange.refused(_NOT_HTTP))
        else:
            if self._receiving is not None or self._in_headers:
                self._check_size()
                call = self._receiving
                if call is not None and call.missing > _READ and not self._stopped:
                    self._room = call.rest()  # the rest of its body has a place of its own

    def _fill(self, room: memoryview, count: int) -> None:
        assert self._receiving is not None
        self._receiving.filled(count)
        self._room = room[count:]
        if not self._room:
            # The old one still waits for this body.
            self._room, self._parser = None, httptools.HttpRequestParser(self)
            self.on_message_complete()

    def pause_writing(self) -> None:
        # Whoever does not read its answers gets no further ones.
        if self._current is not None:
            self._current.paused = True
        elif not self._stopped:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._current is not None:
            self._current.paused = False
        elif not self._stopped:
            self.transport.resume_reading()

    # --- The parser's calls ---

    def on_message_begin(self) -> None:
        self._headers, self._url, self._in_headers = {}, b"", True
        self._new_until = 0.0
        self._received = 0
        self.deadline = self._loop.time() + self._wire.limits.header_timeout_s

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body is no header: it would replace one, and there may be millions.
        if self._in_headers:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self._stopped:
            return
        try:
            path = heads.path(self._url)
        except httptools.HttpParserInvalidURLError:
            self._end_with(exchange.refused(_NOT_HTTP))
            return
        self._received = 0
        self.deadline = self._loop.time() + self._wire.limits.body_timeout_s
        call = Call(self._parser.get_method(), path, self._headers, self._wire.limits)
        # What HTTP/1.0 has for a connection that goes on is an extension, which half of its clients lack.
        call.old = self._parser.get_http_version() == "1.0"
        call.close = call.old or not self._parser.should_keep_alive() or b"upgrade" in self._headers
        self._receiving = call
        try:
            self._service.begin(call)
        except Refusal as refusal:
            call.refuse(refusal)
        if b"expect" in self._headers:
            self._continue(call)

    def on_chunk_header(self) -> None:
        if self._receiving is not None:
            self._receiving.count_chunk()

    def on_body(self, piece: bytes) -> None:
        call = self._receiving
        if call is not None:
            call.add(piece)
            if call.hopeless:
                self._give_up(call)

    def on_message_complete(self) -> None:
        call, self._receiving = self._receiving, None
        if call is None:
            return
        self._received = 0
        self._calls.append(call)
        if self._current is None:
            self._answer_next()
        else:
            self.transport.pause_reading()  # one that sends ahead waits with the rest

    # --- Answers ---

    def _answer_next(self) -> None:
        while self._calls and self._current is None and not self._stopped:
            call = self._current = self._calls.popleft()
            reply = call.reply or self._reply(call)
            if reply is not None:
                self._send(call, reply)

    def _reply(self, call: Call) -> Reply | None:
        call.waits = self._late_answer
        try:
            return self._service.answer(call)
        except Refusal as refusal:
            return exchange.refused(refusal)
        except Exception as error:
            return exchange.unexpected(error)

    def _late_answer(self, reply: Reply) -> None:
        call = self._current
        if call is not None:
            self._send(call, reply)
            self._go_on()

    def _go_on(self) -> None:
        """Turn to what was sent ahead, or read on."""
        if self._calls:
            self._answer_next()
        elif self._current is None and not self._stopped:
            self.transport.resume_reading()

    def _send(self, call: Call, reply: Reply) -> None:
        if reply.streams:
            self._stream(call, reply)
            return
        self._current = None
        call.forget()
        close = call.close or self._service.closing
        self._count(call, reply.status)
        head = heads.head(reply, close)
        if call.method == b"HEAD":
            self.transport.write(head)
        elif len(reply.body) < _SMALL:
            self.transport.write(head + reply.body)
        else:
            self.transport.write(head)
            self.transport.write(reply.body)
        self._rest(close)

    def _stream(self, call: Call, reply: Reply) -> None:
        """Send the head and the first piece. Without chunks, before HTTP/1.1, the end is the connection's."""
        call.waits = None
        chunked = not call.old
        call.close = call.close or self._service.closing
        self.transport.write(heads.head(reply, call.close, chunked))

        def feed(piece: bytes | None) -> None:
            if piece:
                self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                return
            self._current = None
            call.forget()
            if piece is None:
                self._stopped = True
                self._count(call, HTTPStatus.INTERNAL_SERVER_ERROR)
                self.transport.abort()
                return
            self._count(call, reply.status)
            self.transport.write(b"0\r\n\r\n" if chunked else b"")
            self._rest(call.close)
            self._go_on()

        call.feeds = feed
        if reply.body:
            feed(reply.body)

    def _count(self, call: Call, status: int) -> None:
        """Before its last byte goes out: who has the answer may ask another process how many are open."""
        call.status = status
        self._service.end(call)

    def _rest(self, close: bool) -> None:
        """Close, or wait for the next request."""
        if close:
            self._stop()
        elif self._receiving is None and not self._in_headers:
            self.deadline = self._loop.time() + _KEEP_ALIVE_S

    def _continue(self, call: Call) -> None:
        """A client that asks before it sends hears no at once, and else that it may."""
        if call.reply is not None:
            self._give_up(call)
        elif self._current is None:
            self.transport.write(_CONTINUE)

    def _give_up(self, call: Call) -> None:
        """Answer a refused call without waiting for the rest of its body, and close."""
        self._receiving = self._room = None
        if self._current is None and call.reply is not None:
            call.close = True
            self._send(call, call.reply)
        else:
            self._abandon(call)
            self._stop()

    def _end_with(self, reply: Reply) -> None:
        """Answer what was no call, and close."""
        if not self._stopped:
            self.transport.write(heads.head(reply, close=True) + reply.body)
            self._stop()

    def _abandon(self, call: Call) -> None:
        call.abandon()
        self._service.end(call)

    def _stop(self) -> None:
        self._stopped = True
        self.transport.close()

    # --- Limits ---

    def close_idle(self) -> None:
        """Close it if nothing is asked on it; a new one's first request may be on its way."""
        coming = self._loop.time() < self._new_until
        if self._current is None and self._receiving is None and not self._calls and not coming:
            self._stop()

    def late(self) -> None:
        """The deadline has passed: of the headers, the body, an answer's reading, or of being of no use."""
        limits = self._wire.limits
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        if self._unread and self._unread == before:
            self.transport.abort()  # its client has read nothing since the last look: it would stay for ever
        elif self._unread or self._current is not None or self._calls:
            self.deadline = self._loop.time() + limits.header_timeout_s  # we are late, or its reader is
        elif self._receiving is not None:
            seconds = limits.body_timeout_s
            self._receiving.refuse(TooSlow(f"the body took more than {seconds:g} s (SLIPWAY_BODY_TIMEOUT_S)"))
            self._give_up(self._receiving)
        elif self._in_headers:
            seconds = limits.header_timeout_s
            text = f"headers took more than {seconds:g} s (SLIPWAY_HEADER_TIMEOUT_S)"
            self._end_with(exchange.refused(TooSlow(text)))
        else:
            self._stop()

    def _check_size(self) -> None:
        if self._in_headers and self._received > _MAX_HEADER_BYTES:
            self._end_with(exchange.refused(_HEADERS_TOO_LARGE))
        elif self._receiving is not None and self._received > self._wire.limits.wire_bytes:
            self._stop()
