"""One request on its connection: what its headers say, its body within bounds, and its one answer.

A body of known length has one place, which costs memory only as it fills: what comes with the head is copied
there, the rest is received there. A refused body is read on and thrown away, within bounds too: a connection
closed over unread bytes is reset, and its client would see that instead of the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.serving.codecs import Body
from inference.serving.errors import BadBody, Refusal, TooLarge
from inference.serving.exchange import Reply, refused

# Far above what clients send in one request; one-byte chunks cost a parser fifty times what they carry.
MAX_CHUNKS = 65_536
# How much of a refused body is worth reading so that its client hears why.
DISCARD_BODIES = 8
CLIENT_GONE = 499
_SHORT = 16 * 1024


@dataclass(frozen=True)
class Limits:
    """Bytes that a body may have; seconds for a request's headers and for its body."""

    max_body: int
    header_timeout_s: float
    body_timeout_s: float

    @property
    def wire_bytes(self) -> int:
        """What one request may take on the wire, framing included."""
        return self.max_body * (DISCARD_BODIES + 2) + 2**20


class Call:
    """A request. Whoever takes it up answers it once; `status` is 0 until then."""

    __slots__ = (
        "_chunks",
        "_dropped",
        "_length",
        "_limits",
        "_size",
        "_space",
        "body",
        "close",
        "counted",
        "headers",
        "method",
        "fed",
        "feeds",
        "old",
        "on_gone",
        "path",
        "paused",
        "reply",
        "route",
        "status",
        "waits",
    )

    def __init__(self, method: bytes, path: str, headers: dict[bytes, bytes], limits: Limits) -> None:
        self.method = method
        self.path = path
        self.headers = headers  # by lower-case name; of a name that is there twice, the last
        self.body: Body = b""
        self.counted = False  # whether the service counts it among those in flight
        self.old = False  # whether it is of HTTP/1.0
        self.close = False  # whether the connection ends with the answer
        self.route: Any = None  # for the service, which found it when the call began
        self.reply: Reply | None = None  # an answer that was clear before the body came
        self.status = 0
        self.waits: Callable[[Reply], None] | None = None  # what takes the answer of one who waits
        self.feeds: Callable[[bytes | None], None] | None = None  # what takes the pieces of a stream
        self.fed = 0  # how many bytes of a stream have reached the connection
        self.paused = False  # whether the client is behind with reading them
        self.on_gone: Callable[[], None] | None = None  # called where the client leaves before its answer
        self._limits = limits
        self._space = memoryview(b"")  # all of the body's place
        declared = headers.get(b"content-length")
        self._length = int(declared) if declared else -1
        self._size = self._dropped = self._chunks = 0

    @property
    def is_short(self) -> bool:
        """Whether its body is likely to come with its headers, so that nothing is gained by an earlier no."""
        return 0 <= self._length <= _SHORT and b"expect" not in self.headers

    @property
    def missing(self) -> int:
        """How many of the bytes that were announced are not here yet; 0 where they are not wanted."""
        return 0 if self.reply is not None else max(0, self._length - self._size)

    def check_length(self) -> None:
        """Raise TooLarge, before a byte is read, where the headers say that the body is."""
        if self._length > self._limits.max_body:
            raise self._too_large(f"{self._length} bytes")

    def refuse(self, refusal: Refusal) -> None:
        """Fix the answer now; what is left of the body is dropped."""
        if self.reply is None:
            self.reply = refused(refusal)
        self.body, self._space = b"", memoryview(b"")

    def add(self, piece: bytes) -> None:
        """Take a piece of the body, whose memory stays the caller's unless it is the whole."""
        if self.reply is not None:
            self._dropped += len(piece)
            return
        size = self._size + len(piece)
        if size > self._limits.max_body:
            self.refuse(self._too_large(f"more than {self._limits.max_body} bytes"))
            return
        if self._length == len(piece):
            self.body = piece
        elif self._length > 0:
            self._place()[self._size : size] = piece
        else:
            if not self._size:
                self.body = bytearray()
            self.body += piece  # type: ignore[operator]  # a bytearray
        self._size = size

    def rest(self) -> memoryview:
        """The place of what is missing, to be received there and then told to `filled`. It is not empty."""
        return self._place()[self._size :]

    def filled(self, count: int) -> None:
        """So many bytes have been put where `rest` begins."""
        self._size += count

    def count_chunk(self) -> None:
        """Refuse a flood of chunks."""
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            self.refuse(
                BadBody(f"the body came in more than {MAX_CHUNKS} chunks; expected fewer and larger ones")
            )

    @property
    def hopeless(self) -> bool:
        """Whether so much of a refused body was dropped that its end is not worth waiting for."""
        return self._dropped > self._limits.max_body * DISCARD_BODIES

    def header(self, name: bytes, default: str = "") -> str:
        """A header's value as text."""
        value = self.headers.get(name)
        return default if value is None else value.decode("latin-1")

    def answer(self, reply: Reply) -> None:
        """Answer it from outside of its turn; nothing where its client has gone."""
        if self.waits is not None:
            waits, self.waits = self.waits, None
            waits(reply)

    def feed(self, piece: bytes | None) -> None:
        """Send one more piece of a streamed answer; b"" is its end, None breaks it off."""
        self.fed += len(piece or b"")
        if self.feeds is not None:
            self.feeds(piece)

    def forget(self) -> None:
        """Let go of who waited for the answer: a job of it, and it of the job, would keep both bodies until
        Python looks for what holds itself."""
        self.waits = self.feeds = self.on_gone = None

    def abandon(self) -> None:
        """Tell who works on it that its client has left."""
        gone = self.on_gone
        self.forget()
        self.status = CLIENT_GONE
        if gone is not None:
            gone()

    def _place(self) -> memoryview:
        if not self._space:
            # Not a bytearray: that would be filled with zeros, so a head alone could take memory.
            self._space = np.empty(self._length, np.uint8).data
            self.body = self._space
        return self._space

    def _too_large(self, found: str) -> TooLarge:
        return TooLarge(f"the body has {found}; expected up to {self._limits.max_body} (SLIPWAY_MAX_BODY_MB)")


class Service:
    """What answers calls. All of it runs on the event loop and never waits."""

    closing = False  # whether connections end with the answer that they get

    def begin(self, call: Call) -> None:
        """Look at a call whose headers are there. Raises a Refusal; its body is then not wanted."""
        raise NotImplementedError

    def answer(self, call: Call) -> Reply | None:
        """The answer to a whole call; None where `call.answer` will be called with it. Raises a Refusal."""
        raise NotImplementedError

    def connected(self, count: int) -> None:
        """Hear how many connections are open now."""

    def leaves_next(self) -> bool:
        """Whether another process shall have the next connection, if it takes it soon."""
        return False

    def end(self, call: Call) -> None:
        """Hear how a call that was begun has ended, by its status; CLIENT_GONE without an answer."""
