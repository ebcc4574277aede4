"""Requests to a job's container: connections kept, time limits, retries, and a container that died meanwhile.

Source: API_ModelClientConfig. It says that failing requests are sent again and not which: what the container
refused (4xx) would be refused again, so it is not.
"""

from __future__ import annotations

import http.client
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from infra.local.containers import answers
from infra.local.sagemaker.containers import Container
from infra.local.sagemaker.transforms import failures
from infra.local.sagemaker.transforms.failures import FileFailed, JobFailed, Stopped

CHUNK = 256 * 1024
KEEP_ALIVE_S = 3.0  # under uvicorn's 5 s: no connection is used while the container closes it
RETRY_FIRST_S = 0.1
PING_S, PING_TIMEOUT_S = 0.1, 2.0
FAILED_RESTARTS = 3  # in a row: the container will not come back
BROKEN = (OSError, http.client.HTTPException)
Body = bytes | Callable[[], BinaryIO]
Take = Callable[[bytes], object]


@dataclass(frozen=True)
class Client:
    """A job's ModelClientConfig, and the headers of its requests."""

    headers: Mapping[str, str]
    timeout_s: float = 600.0
    retries: int = 3


class _OurSide(Exception):
    """Not the container failed: the object cannot be read, or its answer not be kept."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Poster:
    """Posts to one container, from any thread; each thread has a connection of its own."""

    def __init__(self, container: Container, client: Client, stopped: threading.Event) -> None:
        self._container, self._client, self._stopped = container, client, stopped
        self._own = threading.local()
        self._open: set[http.client.HTTPConnection] = set()

    def post(self, body: bytes) -> bytes:
        """The container's answer. Raises FileFailed once the retries are used up, or Stopped."""
        answer: list[bytes] = []
        self._attempt(body, answer.append, answer.clear)
        return b"".join(answer)

    def stream(self, source: Callable[[], BinaryIO], output: BinaryIO) -> None:
        """Posts all that `source` opens in chunks, and writes the answer to `output`, which is empty.

        What reading the one or writing the other raises passes through: it is not tried again.
        """

        def begin_again() -> None:
            output.seek(0)
            output.truncate()

        def keep(piece: bytes) -> None:
            try:
                output.write(piece)
            except OSError as error:  # a full disk
                raise _OurSide(error) from error

        self._attempt(source, keep, begin_again)

    def close(self) -> None:
        """Closes the connections."""
        for connection in list(self._open):
            connection.close()

    def _attempt(self, body: Body, take: Take, begin_again: Callable[[], object]) -> None:
        for attempt in range(self._client.retries + 1):
            if self._stopped.wait(RETRY_FIRST_S * 2**attempt if attempt else 0):
                raise Stopped
            begin_again()
            try:
                status, said = self._exchange(body, take)
            except BROKEN as error:
                failure = FileFailed(failures.NO_RESPONSE, client=False)
                self._recover(error)
                continue
            except _OurSide as failed:
                self._drop()  # the request is half sent, or its answer half read
                raise failed.error from None
            if status == http.HTTPStatus.OK:
                return
            failure = failures.refused(status, said)
            if failure.client:
                break
        raise failure

    def _exchange(self, body: Body, take: Take) -> tuple[int, bytes]:
        """Sends one request and gives the pieces of a 200 to `take`; else returns what was said."""
        deadline = time.monotonic() + self._client.timeout_s
        connection = self._connection()
        is_cut_short = self._send(connection, body, deadline)
        sock = connection.sock
        sock.settimeout(_left(deadline))
        response = connection.getresponse()
        is_good = response.status == http.HTTPStatus.OK
        said: list[bytes] = []
        for piece in _pieces(response, sock, deadline):
            (take if is_good else said.append)(piece)
        self._own.used = time.monotonic()
        if is_cut_short:
            self._drop()
        return response.status, b"".join(said)

    def _send(self, connection: http.client.HTTPConnection, body: Body, deadline: float) -> bool:
        """Whether the container had enough before the end: it may have answered all the same."""
        headers = dict(self._client.headers)
        try:
            if isinstance(body, bytes):
                connection.request("POST", "/invocations", body, headers)
                return False
            with body() as stream:
                chunked = {**headers, "Transfer-Encoding": "chunked"}
                blocks = _blocks(stream, deadline)
                connection.request("POST", "/invocations", blocks, chunked, encode_chunked=True)
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:  # not even connected
                raise
            return True
        return False

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        port = self._container.port
        is_recent = kept and time.monotonic() - self._own.used < KEEP_ALIVE_S
        if kept and kept.port == port and is_recent and not _is_closed(kept.sock):
            if kept.sock:
                kept.sock.settimeout(self._client.timeout_s)
            return kept
        self._drop()
        fresh = http.client.HTTPConnection("127.0.0.1", port, timeout=self._client.timeout_s)
        self._own.connection = fresh
        self._open.add(fresh)
        return fresh

    def _drop(self) -> None:
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if kept:
            kept.close()
            self._open.discard(kept)
            self._own.connection = None

    def _recover(self, error: BaseException) -> None:
        """After a broken connection: waits until the container answers again; one that died is restarted.

        Raises JobFailed if it does not come back.
        """
        self._drop()
        if isinstance(error, TimeoutError):  # it lives, and is slow
            return
        container = self._container
        deadline = time.monotonic() + container.spec.startup_s
        while not answers(container.port, "/ping", PING_TIMEOUT_S):
            if self._stopped.wait(PING_S):
                raise Stopped
            if container.failed_restarts >= FAILED_RESTARTS or time.monotonic() > deadline:
                raise JobFailed(failures.CONTAINER_GONE)


def _blocks(stream: BinaryIO, deadline: float) -> Iterator[bytes]:
    while True:
        _left(deadline)
        try:
            block = stream.read(CHUNK)
        except Exception as error:
            raise _OurSide(error) from error
        if not block:
            return
        yield block


def _pieces(response: http.client.HTTPResponse, sock: socket.socket, deadline: float) -> Iterator[bytes]:
    while piece := response.read1(CHUNK):
        yield piece
        sock.settimeout(_left(deadline))
    if response.length:  # read1 takes a connection that breaks off for the answer's end
        raise http.client.IncompleteRead(b"", response.length)
    response.read()  # nothing is left, and so the connection is free again


def _is_closed(sock: socket.socket | None) -> bool:
    """Whether the other side has closed an idle connection, or says what nobody asked for."""
    if sock is None:
        return False  # it is opened again by itself
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
