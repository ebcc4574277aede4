"""Binary records in a stream: RecordIO and TFRecord. Pure but for reading the stream.

Source: MXNet's RecordIO (magic number, 29 bits of length and 3 of continuation, padded to 4 bytes);
TensorFlow's TFRecord (length, its checksum, data, its checksum). Checksums are the container's to verify.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = struct.pack("<I", 0xCED7230A)
LENGTH_BITS = 29
BEGINS, GOES_ON = 1, 2  # of RecordIO's continuation flag; 0 is a whole record, 3 the last part
OVERHEAD = 64  # a record's frame, at the most, that a limit on its content lets pass


class FrameError(Exception):
    """The stream is not of that format; the message says at which record."""


@dataclass(frozen=True)
class Frame:
    """A record as it is in the file, and its content alone."""

    framed: bytes
    content: bytes


def recordio(stream: BinaryIO, limit: int) -> Iterator[Frame]:
    """The stream's records; one of over `limit` bytes is told of by a frame that is cut off beyond it."""
    number = 1
    while head := stream.read(8):
        frame, flag = _part(stream, head, number, limit)
        while flag in (BEGINS, GOES_ON) and len(frame.framed) <= limit + OVERHEAD:
            part, flag = _part(stream, stream.read(8), number, limit)
            # A record that has the magic number in it is cut there, and the number is left out.
            frame = Frame(frame.framed + part.framed, frame.content + MAGIC + part.content)
        yield frame
        number += 1


def tfrecord(stream: BinaryIO, limit: int) -> Iterator[Frame]:
    """The stream's records; one of over `limit` bytes is told of by a frame that is cut off beyond it."""
    number = 1
    while head := stream.read(12):
        if len(head) < 12:
            raise FrameError(f"record {number}: the TFRecord file breaks off")
        (length,) = struct.unpack_from("<Q", head)
        body = _taken(stream, length + 4, number, limit)
        yield Frame(head + body, body[:length])
        number += 1


def _part(stream: BinaryIO, head: bytes, number: int, limit: int) -> tuple[Frame, int]:
    if len(head) < 8 or not head.startswith(MAGIC):
        raise FrameError(f"record {number}: RecordIO's magic number is missing")
    (word,) = struct.unpack_from("<I", head, 4)
    length = word & ((1 << LENGTH_BITS) - 1)
    body = _taken(stream, length + -length % 4, number, limit)
    return Frame(head + body, body[:length]), word >> LENGTH_BITS


def _taken(stream: BinaryIO, size: int, number: int, limit: int) -> bytes:
    wanted = min(size, limit + OVERHEAD)
    body = stream.read(wanted)
    if len(body) < wanted:
        raise FrameError(f"record {number}: the file breaks off in it")
    return body


FRAMES: Mapping[str, Callable[[BinaryIO, int], Iterator[Frame]]] = {
    "RecordIO": recordio,
    "TFRecord": tfrecord,
}
