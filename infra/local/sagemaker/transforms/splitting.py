"""An object's bytes as mini-batches: whole, by lines, or by binary records. Pure but for reading the stream.

Source: TransformInput's SplitType, CreateTransformJob's BatchStrategy and MaxPayloadInMB. Work is done on
blocks of a payload's size, never byte by byte.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from infra.local.sagemaker.transforms import framing

MIB = 1024 * 1024
MULTI, SINGLE = "MULTI_RECORD", "SINGLE_RECORD"


class RecordTooLarge(Exception):
    """A record is over the payload limit; `number` counts records from 1 (with Line: lines)."""

    def __init__(self, number: int, limit: int) -> None:
        super().__init__(f"record {number} is larger than {limit / MIB:g} MB")
        self.number = number


@dataclass(frozen=True)
class Payload:
    """What one request carries. `first` is the number of its first record, from 1."""

    data: bytes
    first: int


def payloads(stream: BinaryIO, split: str, strategy: str, limit: int) -> Iterator[Payload]:
    """The requests' bodies, in the stream's order, each of `limit` bytes at the most.

    `stream.read(n)` gives n bytes unless it ends. Raises RecordTooLarge, or framing.FrameError.
    """
    if split == "None":
        return _whole(stream, limit)
    if split == "Line":
        batches = _lines(stream, limit)
        return _each_line(batches) if strategy == SINGLE else batches
    frames = framing.FRAMES[split](stream, limit)
    return _each_frame(frames, limit) if strategy == SINGLE else _packed(frames, limit)


def _whole(stream: BinaryIO, limit: int) -> Iterator[Payload]:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise RecordTooLarge(1, limit)
    yield Payload(data, 1)


def _lines(stream: BinaryIO, limit: int) -> Iterator[Payload]:
    """As many whole lines as fit, as they are: a last line without its newline stays so."""
    rest, number = b"", 1
    while len(data := rest + stream.read(limit + 1 - len(rest))) > limit:
        end = data.rfind(b"\n", 0, limit) + 1
        if not end:
            raise RecordTooLarge(number, limit)
        yield Payload(data[:end], number)
        number += data.count(b"\n", 0, end)
        rest = data[end:]
    if data:
        yield Payload(data, number)


def _each_line(batches: Iterator[Payload]) -> Iterator[Payload]:
    for batch in batches:
        for number, line in enumerate(io.BytesIO(batch.data), start=batch.first):
            yield Payload(line, number)


def _packed(frames: Iterator[framing.Frame], limit: int) -> Iterator[Payload]:
    held: list[bytes] = []
    size, first = 0, 1
    for number, frame in enumerate(frames, start=1):
        if len(frame.framed) > limit:
            raise RecordTooLarge(number, limit)
        if held and size + len(frame.framed) > limit:
            yield Payload(b"".join(held), first)
            held, size, first = [], 0, number
        held.append(frame.framed)
        size += len(frame.framed)
    if held:
        yield Payload(b"".join(held), first)


def _each_frame(frames: Iterator[framing.Frame], limit: int) -> Iterator[Payload]:
    # Source: TransformInput, SplitType: the padding is removed with SingleRecord, and kept with MultiRecord.
    for number, frame in enumerate(frames, start=1):
        if len(frame.content) > limit:
            raise RecordTooLarge(number, limit)
        yield Payload(frame.content, number)
