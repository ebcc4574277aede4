"""A model that a job left as objects under a prefix, brought here as one archive."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.batch.cloud import Stored
from deploy.batch.counting import Readable
from deploy.target import CloudError, Say
from deploy.training.staging import Shelf


def gather(shelf: Shelf, to: Path, say: Say) -> int:
    """Write all objects below the shelf's root into a gzip'd tar at `to`; how many they are.

    A name is put in as it is: whoever unpacks the archive refuses one that leads elsewhere.
    """
    there = [one for one in shelf.storage.listed(shelf.config, shelf.root) if not one.key.endswith("/")]
    size, got = max(1, sum(one.size for one in there)), 0

    def count(read: int) -> None:
        nonlocal got
        got += read
        say(f"{got / size:.0%} of {size / 1e6:,.1f} MB")

    # Not compressed: it is unpacked at once, and weights hardly shrink.
    with tarfile.open(to, "w:gz", compresslevel=0) as archive:
        for one in there:
            _add(shelf, archive, one, count)
    return len(there)


def _add(shelf: Shelf, archive: tarfile.TarFile, one: Stored, count: Callable[[int], None]) -> None:
    place = shelf.root / one.key.removeprefix(shelf.root.key)
    member = tarfile.TarInfo(one.key.removeprefix(shelf.root.key))
    member.size = one.size
    with shelf.storage.opened(shelf.config, place) as content:
        try:
            archive.addfile(member, _Counted(content, count))  # type: ignore[arg-type]  # it is only read
        except OSError as error:
            if error.errno:  # of this machine's disk
                raise
            raise CloudError(f"{place}: changed while it was fetched: give the same command again") from error
        if content.read(1):
            raise CloudError(f"{place}: changed while it was fetched: give the same command again")


@dataclass(frozen=True)
class _Counted:
    content: Readable
    count: Callable[[int], None]

    def read(self, size: int) -> bytes:
        piece = self.content.read(size)
        self.count(len(piece))
        return piece
