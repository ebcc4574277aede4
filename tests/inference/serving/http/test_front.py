"""Who takes a connection in, where several processes have the socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from inference.serving import settings
from inference.serving.http import front
from inference.serving.http.calls import Service
from inference.serving.http.front import Front


class Door(Service):
    """Has fewer connections than another process, or more. It hears how many it has."""

    def __init__(self, leaves: bool) -> None:
        self.leaves = leaves
        self.asked = 0
        self.counts: list[int] = []

    def leaves_next(self) -> bool:
        self.asked += 1
        return self.leaves

    def connected(self, count: int) -> None:
        self.counts.append(count)


@contextlib.asynccontextmanager
async def opened(listening: socket.socket, door: Door) -> AsyncIterator[Front]:
    with listening.dup() as own:
        front = Front(settings.read({}), own, door)
        front.accept(True)
        yield front
        await front.close()


@contextlib.asynccontextmanager
async def clients(listening: socket.socket, count: int) -> AsyncIterator[None]:
    with contextlib.ExitStack() as closed:
        for _ in range(count):
            client = closed.enter_context(socket.socket())
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, listening.getsockname())
        yield


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_who_has_more_connections_leaves_the_next_to_who_has_fewer(listening, monkeypatch):
    monkeypatch.setattr(front, "_LEFT_S", 60.0)
    fuller, emptier = Door(True), Door(False)

    async def serve() -> None:
        async with opened(listening, fuller), opened(listening, emptier), clients(listening, 5):
            await until(lambda: emptier.counts[-1:] == [5])

    front.run(serve)
    assert fuller.counts == []


def test_who_has_more_takes_what_nobody_else_does(listening):
    fuller = Door(True)

    async def serve() -> None:
        async with opened(listening, fuller):
            async with clients(listening, 3):
                await until(lambda: fuller.counts[-1:] == [3])
            await until(lambda: fuller.counts[-1] == 0)

    front.run(serve)


def test_a_connection_that_was_left_is_not_taken_by_who_has_left_the_socket(listening):
    fuller = Door(True)

    async def serve() -> None:
        async with opened(listening, fuller) as entrance, clients(listening, 1):
            await until(lambda: fuller.asked > 0)
            entrance.accept(False)
            await asyncio.sleep(3 * front._LEFT_S)

    front.run(serve)
    assert fuller.counts == []
