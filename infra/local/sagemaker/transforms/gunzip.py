"""CompressionType Gzip: an object unpacked as it is read, and no bomb."""

from __future__ import annotations

import gzip
import io
from typing import BinaryIO

from infra.local.archives import Limits

RATIOS = Limits()


class Bomb(OSError):
    """The object unpacks to too many times its size."""


class Unpacked(io.RawIOBase):
    """The bytes inside a gzip file, members one after the other. Raises OSError, EOFError or zlib.error."""

    def __init__(self, packed: BinaryIO, limits: Limits = RATIOS) -> None:
        self._packed = packed
        self._inside = gzip.GzipFile(fileobj=packed, mode="rb")
        self._count = 0
        self._limits = limits

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """That many bytes, unless it ends."""
        data = self._inside.read(size)
        self._count += len(data)
        allowed = max(self._limits.ratio_counts_from, self._limits.max_ratio * self._packed.tell())
        if self._count > allowed:
            raise Bomb(f"it unpacks to over {self._limits.max_ratio} times its size")
        return data

    def close(self) -> None:
        self._inside.close()
        self._packed.close()
        super().close()
