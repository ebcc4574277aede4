"""Callers: each sends one request after the other and checks what comes back.

Their HTTP is as much as this needs, so that leaving in the middle is a line here and not a fight with a
client library.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from bench.soak.mixes import BEFORE_ANSWER, IN_ANSWER, IN_BODY, Kind

_PATIENCE_S = 60.0
_GOING = (asyncio.IncompleteReadError, ConnectionError)


@dataclass
class Tally:
    """How many requests of each kind were made, and what was not as it must be."""

    made: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Lap:
    """So many callers ask for so many seconds, and until so many requests were made."""

    port: int
    mix: Sequence[Kind]
    callers: int
    seconds: float
    requests: int


@dataclass
class _Line:
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


async def run(lap: Lap, tally: Tally, rng: Random) -> None:
    """Have the callers ask until the lap is over; then they hang up, and nothing is open."""
    clock = asyncio.get_running_loop().time
    until, enough = clock() + lap.seconds, tally.made.total() + lap.requests

    def over() -> bool:
        return clock() > until and tally.made.total() >= enough

    seeds = [rng.random() for _ in range(lap.callers)]
    await asyncio.gather(*(_call(lap, tally, Random(seed), over) for seed in seeds))  # noqa: S311 - no secret


async def _call(lap: Lap, tally: Tally, rng: Random, over: Callable[[], bool]) -> None:
    weights = [kind.weight for kind in lap.mix]
    line: _Line | None = None
    while not over():
        (kind,) = rng.choices(lap.mix, weights)
        tally.made[kind.name] += 1
        if line is not None and kind.fresh:
            await line.close()
            line = None
        try:
            line = line or _Line(*await asyncio.open_connection("127.0.0.1", lap.port))
            async with asyncio.timeout(_PATIENCE_S):
                goes_on = await _ask(line, kind, kind.make(rng))
        except (AssertionError, TimeoutError, *_GOING) as error:
            tally.wrong[f"{kind.name}: {type(error).__name__} {error}"] += 1
            goes_on = False
        if line is not None and (kind.fresh or not goes_on):
            await line.close()
            line = None
    if line is not None:
        await line.close()


async def _ask(line: _Line, kind: Kind, request: bytes) -> bool:
    """Send a request of that kind and see its answer; whether the connection goes on.

    AssertionError where the answer is not what it must be.
    """
    line.writer.write(request[:-2] if kind.leaves == IN_BODY else request)
    await line.writer.drain()
    if kind.leaves in (IN_BODY, BEFORE_ANSWER):
        return False
    head = (await line.reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    assert status == kind.status, f"was answered {status}; expected {kind.status}"
    if kind.leaves == IN_ANSWER:
        await line.reader.readline()
        return False
    try:
        await _read_body(line.reader, head)
    except _GOING:
        assert kind.breaks, "its answer was broken off"
        return False
    assert not kind.breaks, "its answer was whole; expected one that breaks off"
    return b"\r\nconnection: close\r\n" not in head


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"\r\ntransfer-encoding: chunked\r\n" not in head:
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
    await reader.readexactly(2)
