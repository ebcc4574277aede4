"""Texts on disk, each under its number: they come in any order, and memory does not grow with them."""

from __future__ import annotations

import mmap
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

BLOCK = 1024 * 1024
# Where a text begins, from 1 on so that 0 says that there is none, and its length.
_ENTRY = struct.Struct("<QQ")


class Spool:
    """Texts under numbers from 0 on. All are put before the first is read; then threads may read them."""

    def __init__(self, texts: BinaryIO, index: mmap.mmap, open_ones: ExitStack) -> None:
        self._texts, self._index, self._open_ones = texts, index, open_ones
        self._end = 1
        self._read: mmap.mmap | None = None

    def put(self, number: int, text: bytes) -> bool:
        """Keep a text, of one byte or more, unless there is one under its number; whether it was kept."""
        if self._entry(number)[0]:
            return False
        self._texts.write(text)
        _ENTRY.pack_into(self._index, number * _ENTRY.size, self._end, len(text))
        self._end += len(text)
        return True

    def seal(self) -> None:
        """Nothing is put from now on."""
        self._texts.flush()
        if self._end > 1:  # of nothing there is no map
            mapped = mmap.mmap(self._texts.fileno(), 0, access=mmap.ACCESS_READ)
            self._read = self._open_ones.enter_context(mapped)

    def text(self, number: int) -> bytes:
        """The text under the number. LookupError where there is none, or before `seal`."""
        start, length = self._entry(number)
        if not start or self._read is None:
            raise LookupError(number)
        return self._read[start - 1 : start - 1 + length]

    def missing(self, numbers: range) -> int:
        """How many of these numbers have no text."""
        return sum(not self._entry(number)[0] for number in numbers)

    def blocks(self, numbers: range) -> Iterator[bytes]:
        """The texts of these numbers in order, joined to pieces of some size."""
        parts, held = list[bytes](), 0
        for number in numbers:
            parts.append(self.text(number))
            held += len(parts[-1])
            if held >= BLOCK:
                yield b"".join(parts)
                parts, held = [], 0
        if parts:
            yield b"".join(parts)

    def _entry(self, number: int) -> tuple[int, int]:
        start, length = _ENTRY.unpack_from(self._index, number * _ENTRY.size)
        return int(start), int(length)


@contextmanager
def opened(size: int) -> Iterator[Spool]:
    """A spool of so many numbers, in temporary files that are gone with it."""
    with ExitStack() as open_ones:
        texts = open_ones.enter_context(tempfile.TemporaryFile())
        entries = open_ones.enter_context(tempfile.TemporaryFile())
        entries.truncate(max(1, size) * _ENTRY.size)
        index = open_ones.enter_context(mmap.mmap(entries.fileno(), 0))
        yield Spool(texts, index, open_ones)
