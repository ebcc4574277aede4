"""A connection to a Redis server that holds nobody up: it comes up by itself, and pauses where it fails.

Of Redis' protocol it speaks what a cache needs, RESP2: commands out, their replies back in the same order.
Source: redis.io/docs/latest/develop/reference/protocol-spec
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from inference.serving.cache_url import RedisAddress

_CONNECT_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_LONGEST_LINE = 64 * 1024
# Unsent bytes above which the server counts as too slow to be asked.
_MOST_UNSENT = 4 * 2**20


@dataclass(frozen=True)
class Failure:
    """What came in place of a value: the server's own words, or that there was no reply."""

    reason: str
    lost: bool = False  # whether the connection is gone


# A reply: a value, None where there is none.
Answer = bytes | Failure | None
Then = Callable[[Answer], None]


class Broken(Exception):
    """What came is not Redis' protocol, or more than was asked for."""


def command(*parts: bytes) -> bytes:
    """A command as it is sent."""
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)])


class Replies:
    """Bytes as they come, to replies. A value may have `largest` bytes."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[Answer]:
        """The replies that are whole by now. Raises Broken."""
        self._kept += data
        found = []
        while (one := self._next()) is not None:
            found += one
        return found

    def _next(self) -> list[Answer] | None:
        """The next reply, alone in a list; None where it is not whole."""
        end = self._kept.find(b"\r\n")
        if end < 0:
            if len(self._kept) > _LONGEST_LINE:
                raise Broken("a line without an end")
            return None
        kind, line = bytes(self._kept[:1]), bytes(self._kept[1:end])
        if kind == b"$":
            return self._value(line, end + 2)
        del self._kept[: end + 2]
        if kind == b"-":
            return [Failure(line.decode("utf-8", "replace"))]
        if kind in (b"+", b":"):
            return [line]
        raise Broken("a reply of an unknown kind")

    def _value(self, line: bytes, start: int) -> list[Answer] | None:
        if line == b"-1":
            del self._kept[:start]
            return [None]
        if not line.isdigit() or len(line) > 10 or int(line) > self._largest:
            raise Broken("a value larger than any that was asked for")
        end = start + int(line)
        if len(self._kept) < end + 2:
            return None
        if self._kept[end : end + 2] != b"\r\n":
            raise Broken("a value without an end")
        value = bytes(self._kept[start:end])
        del self._kept[: end + 2]
        return [value]


class Link:
    """The connection, on the running loop. Nobody waits for it: `up` says whether it may be asked.

    `on_change` hears, on each change, why it went down, and "" where it is up (again).
    """

    def __init__(self, address: RedisAddress, largest: int, on_change: Callable[[str], None]) -> None:
        self._address, self._largest, self._on_change = address, largest, on_change
        self._loop = asyncio.get_running_loop()
        self._wire: _Wire | None = None
        self._coming: asyncio.Task[None] | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._connect()

    @property
    def up(self) -> bool:
        """Whether the server is there, and takes what it is sent."""
        return self._wire is not None and self._wire.unsent < _MOST_UNSENT

    def ask(self, sent: bytes, then: Then) -> None:
        """Send a command; `then` gets its reply, or a Failure that is `lost`. Only while it is up."""
        assert self._wire is not None
        self._wire.ask(sent, then)

    def proved(self) -> None:
        """Hear that it answers in time: the next pause is a short one again."""
        self._pause_s = _FIRST_PAUSE_S

    def fail(self, reason: str) -> None:
        """Break the connection, and try again after a pause that grows from one time to the next."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._pause(reason)
            wire.drop(reason)

    def _pause(self, reason: str) -> None:
        self._loop.call_later(self._pause_s, self._connect)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._on_change(reason)

    def _connect(self) -> None:
        self._coming = self._loop.create_task(self._come_up())

    async def _come_up(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                wire = await self._greeted()
        except TimeoutError:
            self._pause(f"no connection in {_CONNECT_S:g} s")
        except (OSError, Broken) as error:
            self._pause(str(error) or type(error).__name__)
        else:
            self._wire, wire.on_end = wire, self.fail
            self._on_change("")

    async def _greeted(self) -> _Wire:
        address = self._address
        # Its certificates are read from the disk, which must not hold the loop up.
        secure = await asyncio.to_thread(ssl.create_default_context) if address.tls else None
        _, wire = await self._loop.create_connection(
            lambda: _Wire(self._largest), address.host, address.port, ssl=secure
        )
        try:
            for sent in self._greetings():
                await wire.wait(sent)
        except BaseException:
            wire.drop("it did not greet")
            raise
        return wire

    def _greetings(self) -> list[bytes]:
        address, password = self._address, self._address.secret(os.environ)
        words = [word.encode() for word in (address.user, password) if word]
        login = [command(b"AUTH", *words)] if password else []
        return [*login, command(b"SELECT", b"%d" % address.database)]


class _Wire(asyncio.Protocol):
    """The connection itself."""

    def __init__(self, largest: int) -> None:
        self.on_end: Callable[[str], None] = lambda reason: None
        self._transport: asyncio.Transport | None = None
        self._replies = Replies(largest)
        self._asked: deque[Then] = deque()

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport else 0

    def ask(self, sent: bytes, then: Then) -> None:
        assert self._transport is not None
        self._asked.append(then)
        self._transport.write(sent)

    async def wait(self, sent: bytes) -> None:
        """Send a command and wait until it is done. Raises Broken with the server's words where it is not."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.ask(sent, lambda answer: None if answered.done() else answered.set_result(answer))
        if isinstance(failure := await answered, Failure):
            raise Broken(failure.reason)

    def drop(self, reason: str) -> None:
        """Close it; whoever waits for a reply hears that there is none."""
        if self._transport is not None:
            self._transport.abort()
        while self._asked:
            self._asked.popleft()(Failure(reason, lost=True))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for answer in self._replies.feed(data):
                if not self._asked:
                    raise Broken("a reply that nobody asked for")
                self._asked.popleft()(answer)
        except Broken as error:
            self._end(f"{error}: is this a Redis?")

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error or "the server closed the connection"))

    def _end(self, reason: str) -> None:
        ends, self.on_end = self.on_end, lambda reason: None
        ends(reason)
        self.drop(reason)
