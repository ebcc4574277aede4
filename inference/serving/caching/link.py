"""A connection to a Redis server that holds nobody up: it comes up by itself, and pauses where it fails.

The client is redis-py: connection, TLS, login and protocol are its own. Here is what it leaves to its user:
nobody waits for it, what is asked in one turn of the loop goes out together, and a server that fails is left
alone for a while. It is imported late, as few servers need it (0.15 s and 13 MB).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from inference.serving.cache_url import RedisAddress

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CONNECT_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
# Bytes on the way above which the server counts as too slow to be asked.
_MOST_BYTES = 4 * 2**20
# Replies that lie there together are read in one turn of the loop: so many take it 2 ms.
_MOST_TOGETHER = 128
# What connecting looks for: it is refused to who has not logged in, or may not read what is ours.
_HELLO = b"slipway:"
# Where the server begins to repeat what it was sent, which may be a password.
_REPEATED = re.compile(r"[`:]|,? ['\"]")


@dataclass(frozen=True)
class Failure:
    """What came in place of a value: the server's own words, or why there was no reply."""

    reason: str
    lost: bool = False  # whether the connection is gone


# A reply: a value, True where one was written.
Answer = bytes | bool | Failure | None
Then = Callable[[Answer], None]
Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True)
class _Asked:
    command: Command
    then: Then

    @property
    def size(self) -> int:
        return sum(len(part) for part in self.command if isinstance(part, bytes))


def import_client() -> None:
    """Have the client there, before a module of the handler's can be taken for it, or be in its way."""
    import_module("redis.asyncio")


class Link:
    """The connection, on the running loop. Nobody waits for it: `up` says whether it may be asked.

    `on_change` hears, on each change, why it went down, and "" where it is up (again).
    """

    def __init__(self, address: RedisAddress, on_change: Callable[[str], None]) -> None:
        self._address, self._client, self._on_change = address, _client(address), on_change
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._bytes = 0
        self._wanted = asyncio.Event()
        self._up = False
        self._pause_s = _FIRST_PAUSE_S
        self._task: asyncio.Task[None] | None = None
        self._connect()

    @property
    def up(self) -> bool:
        """Whether the server is there, and takes what it is sent."""
        return self._up and self._bytes < _MOST_BYTES

    def ask(self, then: Then, *command: str | bytes | int) -> None:
        """Send a command; `then` gets its reply, or a Failure that is `lost`. Only while it is up."""
        asked = _Asked(command, then)
        self._asked.append(asked)
        self._bytes += asked.size
        self._wanted.set()

    def proved(self) -> None:
        """Hear that it answers in time: the next pause is a short one again."""
        self._pause_s = _FIRST_PAUSE_S

    def fail(self, reason: str) -> None:
        """Give the connection up, and make one anew after a pause that grows from one time to the next."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()  # the client closes a connection at whose replies it was cancelled
        self._up = False
        self._loop.call_later(self._pause_s, self._connect)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._on_change(reason)
        while self._asked:
            self._next().then(Failure(reason, lost=True))

    def _connect(self) -> None:
        self._task = self._loop.create_task(self._live())

    async def _live(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._greet()
            self._up = True
            self._on_change("")
            while True:
                await self._wanted.wait()
                await self._answer()
        except Exception as error:  # the client has many for what is no Redis, ValueError among them
            if asyncio.current_task() is self._task:  # else it was given up already
                self.fail(_why(error))

    async def _greet(self) -> None:
        await self._client.connection_pool.disconnect()  # what a failure has left open
        if self._address.tls:
            await self._read_certificates()
        answer: Any = await self._client.getrange(_HELLO, 0, 0)
        if not isinstance(answer, bytes):
            raise ValueError

    async def _read_certificates(self) -> None:
        """They are on the disk, which must not hold the loop up; the client would read them on it."""
        pool: Any = self._client.connection_pool
        connection = pool.get_available_connection()
        await asyncio.to_thread(connection.ssl_context.get)
        await pool.release(connection)

    async def _answer(self) -> None:
        """Send what was asked, and hand out the replies."""
        pipeline = self._client.pipeline(transaction=False)
        for asked in islice(self._asked, _MOST_TOGETHER):
            pipeline.execute_command(*asked.command)
        for answer in await pipeline.execute(raise_on_error=False):
            if self._up:  # else who waits has heard that it is gone
                self._next().then(Failure(_words(answer)) if isinstance(answer, Exception) else answer)
        if not self._asked:
            self._wanted.clear()

    def _next(self) -> _Asked:
        asked = self._asked.popleft()
        self._bytes -= asked.size
        return asked


class _Login:
    """Who we are, read whenever a connection is made: what redis-py calls a CredentialProvider."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address

    async def get_credentials_async(self) -> tuple[bytes, ...]:
        password = self._address.secret(os.environ)
        words = [word for word in (self._address.user, password) if word] if password else []
        return tuple(word.encode(errors="surrogateescape") for word in words)


def _client(address: RedisAddress) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis(
        host=address.host,
        port=address.port,
        db=address.database,
        ssl=address.tls,
        credential_provider=cast(Any, _Login(address)),
        protocol=2,  # what every server speaks, with nothing in it that nobody has asked for
        driver_info=None,
        socket_timeout=None,  # each look has a timer
        socket_connect_timeout=_CONNECT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _why(error: Exception) -> str:
    """Why a connection failed, with nothing in it that was sent."""
    from redis import exceptions

    if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
        return f"no connection in {_CONNECT_S:g} s"
    if isinstance(error, exceptions.InvalidResponse) or not isinstance(error, exceptions.RedisError):
        return f"what it says is not Redis' protocol ({type(error).__name__}): is this a Redis?"
    if isinstance(error, exceptions.ResponseError) or error.status_code:
        return f"it answered {_words(error)}"
    return str(error) or type(error).__name__


def _words(error: Exception) -> str:
    """The server's own words, as far as it does not repeat ours."""
    text = " ".join(filter(None, (getattr(error, "status_code", ""), str(error))))
    return _REPEATED.split(text)[0]
