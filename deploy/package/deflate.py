"""One gzip member that compresses what compresses and stores what does not.

Weights hardly compress: random float32 at level 9 shrink by 7 % at 15 MB a second. So each piece is
sampled, and a piece that would not save a quarter goes in as stored blocks, at the speed of a copy.
Both kinds stand in one deflate stream, since it is not known what SageMaker unpacks with, and not every
reader takes more than one gzip member. The choice looks at content alone: same bytes in, same bytes out.
Source: RFC 1951 (3.2.4, stored blocks) and RFC 1952.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

STORED_BLOCK = 65535  # the most that a stored block holds
# Compressing under this costs less than asking; over it, SAMPLES slices of SAMPLE bytes are asked.
ALWAYS_COMPRESSED = 64 * 1024
SAMPLE = 4096
SAMPLES = 4
WORTH = 0.75
# Level 6 is two to four times slower on sparse or rounded weights, to save 2 to 10 % more.
LEVEL = 4

# Magic, deflate, no flags, no time, no level, system unknown: nothing of this machine or moment.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class GzipWriter:
    """Write one gzip member to `file`; it is whole only after `close()`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._unflushed = False
        self._crc = 0
        self._size = 0
        file.write(_HEADER)

    def write(self, data: bytes | memoryview) -> None:
        """Add a piece, compressed or stored as its own content decides. Pieces of some MB suit best."""
        view = memoryview(data)
        self._crc = zlib.crc32(view, self._crc)
        self._size += len(view)
        if _compresses(view):
            self._unflushed = True
            self._file.write(self._deflate.compress(view))
        else:
            self._store(view)

    def close(self) -> None:
        """End the stream. The file stays open."""
        self._file.write(self._deflate.flush(zlib.Z_FINISH))
        self._file.write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _store(self, view: memoryview) -> None:
        # A full flush ends on a byte and forgets what came before, so that no later match, counted in what
        # the compressor saw, reaches over the stored bytes that it never saw.
        if self._unflushed:
            self._file.write(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._unflushed = False
        for start in range(0, len(view), STORED_BLOCK):
            block = view[start : start + STORED_BLOCK]
            self._file.write(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF))
            self._file.write(block)


def _compresses(view: memoryview) -> bool:
    if len(view) <= ALWAYS_COMPRESSED:
        return True
    step = len(view) // SAMPLES
    sample = b"".join(view[start : start + SAMPLE] for start in range(0, step * SAMPLES, step))
    return len(zlib.compress(sample, 1)) < WORTH * len(sample)
