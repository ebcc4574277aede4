"""The image's bare loop with its pictures received: sockets, the handler, and of HTTP only what clients need.

What a server on this machine, in Python, beside this load generator, can reach at most. It believes whatever
it is sent, knows no time limit, and serves the pictures alone: it is a limit, and no server.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from bench.serving import processes
from bench.serving.apps import handling

# The bare loop does most with so many pictures of 600 KB at once: more do not stay in the processor's cache.
TOGETHER = 4
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_READ = 16 * 1024
_SHAPE = (1, 3, 224, 224)


class Connection:
    """A client's request, as far as it is here."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self._begin()

    def _begin(self) -> None:
        self._head = b""
        self._body, self._at = memoryview(b""), 0

    def read(self) -> bytes | memoryview | None:
        """The body once it is here, None before; b"" where none was announced. EOFError at the end."""
        if not self._body:
            return self._read_head()
        self._at += self._received(self._body[self._at :])
        return self._whole()

    def _read_head(self) -> bytes | memoryview | None:
        piece = self.client.recv(_READ)
        if not piece:
            raise EOFError
        self._head += piece
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return None
        found = _LENGTH.search(head)
        if found is None:
            self._begin()
            return b""
        self._body, self._at = np.empty(int(found[1]), np.uint8).data, len(rest)
        self._body[: self._at] = rest
        return self._whole()

    def _received(self, room: memoryview) -> int:
        count = self.client.recv_into(room)
        if not count:
            raise EOFError
        return count

    def _whole(self) -> memoryview | None:
        body = self._body
        if self._at < len(body):
            return None
        self._begin()
        return body

    def answer(self, body: bytes) -> None:
        self.client.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(body), body)
        )


def serve(listener: socket.socket, predict: handling.Predict) -> None:
    """Answer for ever: whoever is ready together shares calls of the handler."""
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    while True:
        asked = iter(list(_asked(waiting, listener)))
        while together := list(islice(asked, TOGETHER)):
            predictions = predict([picture for _, picture in together])
            for (connection, _), prediction in zip(together, predictions, strict=True):
                connection.answer(handling.encode([prediction]))


def _asked(waiting: selectors.BaseSelector, listener: socket.socket) -> Iterator[tuple[Connection, Any]]:
    """Who has sent a picture, with it. What was sent without a body is answered with none."""
    for key, _ in waiting.select():
        if key.fileobj is listener:
            _accept(waiting, listener)
            continue
        connection: Connection = key.data
        try:
            body = connection.read()
        except (EOFError, ConnectionError):
            waiting.unregister(connection.client)
            connection.client.close()
            continue
        if body:
            yield connection, _picture(body)
        elif body is not None:
            connection.answer(b"")


def _accept(waiting: selectors.BaseSelector, listener: socket.socket) -> None:
    try:
        client, _ = listener.accept()
    except BlockingIOError:  # another process has it
        return
    client.setblocking(True)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting.register(client, selectors.EVENT_READ, Connection(client))


def _picture(body: bytes | memoryview) -> Any:
    """The array behind npy's header, where it lies."""
    start = 10 + int.from_bytes(body[8:10], "little")
    return np.frombuffer(body, np.float32, offset=start).reshape(_SHAPE)[0]


def main() -> None:
    listener = socket.create_server(("127.0.0.1", handling.PORT), backlog=1024)
    listener.setblocking(False)
    predict = handling.loaded()
    for _ in range(handling.WORKERS - 1):
        if not os.fork():
            processes.end_with_parent()
            break
    serve(listener, predict)


if __name__ == "__main__":
    main()
