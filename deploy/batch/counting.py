"""Records counted in one pass over a stream, block by block: never a Python step for each byte or line.

A record is a line with something in it. Lines end in a line feed, as the platform splits them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from deploy.batch.places import BatchError
from deploy.batch.threads import go_on

BLOCK = 1024 * 1024
BOM = b"\xef\xbb\xbf"
# What bytes.strip() takes for blank, but for the line feed itself.
_BLANK_LINE = re.compile(rb"\n[ \t\r\x0b\x0c]*(?=\n)")


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most that many bytes; none at the end."""


class TooLong(Exception):
    """A line is longer than the limit."""


@dataclass(frozen=True)
class Rules:
    """What each record is held to. A `limit` of 0 bytes is none; a `header` may stand on line 1 alone."""

    limit: int = 0
    whole_fields: bool = False  # CSV: no quoted field goes on in the next line
    header: bool = False


@dataclass
class Tally:
    """What has been counted so far. `first` holds the first two records as they stand, without BOM."""

    lines: int = 0
    blank: int = 0
    first: list[bytes] = field(default_factory=list)

    @property
    def records(self) -> int:
        return self.lines - self.blank


def count(stream: Readable, rules: Rules, place: str) -> Tally:
    """Read the stream to its end. Raises BatchError, naming `place` and the line, where a rule is broken."""
    tally = Tally()
    try:
        for block in whole_lines(stream, rules.limit):
            text = block if tally.lines else block.removeprefix(BOM)
            _look(tally, text)
            _check(tally, text, rules, place)
            add(tally, text)
    except TooLong:
        raise BatchError(
            f"{place}:{tally.lines + 1}: the record is over {rules.limit / 2**20:g} MB, the most that one "
            "request may carry: shorten it, or raise [batch] max_payload_mb (at most 100)"
        ) from None
    return tally


def whole_lines(stream: Readable, limit: int = 0) -> Iterator[bytes]:
    """The stream as blocks of whole lines; the last may lack its line feed.

    Raises TooLong for a line that is longer than `limit` bytes with its line feed; 0 is no limit.
    """
    size = min(BLOCK, limit) if limit else BLOCK
    parts: list[bytes] = []
    held = 0
    while data := stream.read(size):
        go_on()
        # A line within one block is not over the limit: only one that began in an earlier block can be.
        if limit and held + (data.find(b"\n") + 1 or len(data)) > limit:
            raise TooLong
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, data[:end]])
            parts, held = [], 0
        parts.append(data[end:])
        held += len(data) - end
    if held:
        yield b"".join(parts)


def add(tally: Tally, block: bytes) -> None:
    """Count the lines of one more block."""
    end = block.find(b"\n")
    ended = block.endswith(b"\n")
    tally.lines += block.count(b"\n") + (not ended)
    # The pattern wants a line feed before and behind, which the first and an unended last line lack.
    tally.blank += sum(1 for _ in _BLANK_LINE.finditer(block))
    tally.blank += not block[: end if end >= 0 else None].strip()
    tally.blank += end >= 0 and not ended and not block[block.rfind(b"\n") :].strip()


def _look(tally: Tally, block: bytes) -> None:
    at = 0
    while len(tally.first) < 2 and at < len(block):
        end = block.find(b"\n", at) + 1 or len(block)
        if line := block[at:end].rstrip(b"\r\n").strip() and block[at:end].rstrip(b"\r\n"):
            tally.first.append(line)
        at = end


def _check(tally: Tally, block: bytes, rules: Rules, place: str) -> None:
    if not block.isascii():
        _check_text(tally, block, place)
    if rules.whole_fields and b'"' in block:
        _check_fields(tally, block, place)
    if rules.header and tally.first and tally.first[0] in block:
        _check_no_header(tally, block, place)


def _check_text(tally: Tally, block: bytes, place: str) -> None:
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = tally.lines + block.count(b"\n", 0, error.start) + 1
        raise BatchError(f"{place}:{line}: not UTF-8 ({error.reason}): write the file as UTF-8") from None


def _check_fields(tally: Tally, block: bytes, place: str) -> None:
    for number, line in enumerate(block.split(b"\n"), start=tally.lines + 1):
        if line.count(b'"') % 2:
            raise BatchError(
                f"{place}:{number}: a quoted field goes on in the next line, and the platform cuts a file at "
                "every line end: take line ends out of fields, or write the file as JSON Lines"
            )


def _check_no_header(tally: Tally, block: bytes, place: str) -> None:
    """The container knows the header by its text alone: a row that equals it would be lost."""
    for number, line in enumerate(block.split(b"\n"), start=tally.lines + 1):
        if number > 1 and line.rstrip(b"\r") == tally.first[0]:
            raise BatchError(
                f"{place}:{number}: the header once more, expected it on line 1 alone: take it out, for the "
                "container would"
            )
