"""What is fuzzed: from an input to a promise that must hold for it. Whatever else is raised was found."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy import unpack as deploys
from inference.serving import codecs
from inference.serving.codecs import Shape, media
from inference.serving.errors import Refusal
from inference.serving.handlers.torchserve import mar
from inference.serving.model import archive
from tests.fuzz import seeds
from tests.fuzz.target import Target

_SMALL = 1_000_000  # bytes that an archive may unpack to here
_MEMORY = Path("/dev/shm")  # where files cost least
_WHERE = _MEMORY if os.access(_MEMORY, os.W_OK) else None


class Broken(AssertionError):
    """A promise was broken."""


def decode(content_type: str, body: bytes) -> None:
    """A body is read, and can then be written or is refused, or it is refused: with 4xx."""
    try:
        decoded = codecs.decode(body, media.content_type(content_type))
    except Refusal as refusal:
        if not 400 <= refusal.status < 500 or not str(refusal):
            raise Broken(f"refused with {refusal.status}: {refusal}") from refusal
        return
    for wanted in media.FORMATS:
        try:
            codecs.encode(decoded.instances, Shape.LIST, wanted)
        except Refusal as refusal:
            if not str(refusal):
                raise Broken("refused without a word") from refusal


def unpack(into: Callable[[Path, Path], None], refused: type[Exception], packed: bytes) -> None:
    """An archive is unpacked to files and folders below its destination, or refused."""
    place = Path(tempfile.mkdtemp(prefix="slipway-fuzz-", dir=_WHERE))
    try:
        (place / "archive").write_bytes(packed)
        try:
            into(place / "archive", place / "into")
        except refused as refusal:
            if not str(refusal).isprintable():
                raise Broken(f"a message with control characters: {refusal!r}") from refusal
        _check(place)
    finally:
        shutil.rmtree(place)


def _check(place: Path) -> None:
    if {path.name for path in place.iterdir()} - {"archive", "into"}:
        raise Broken(f"written beside the destination: {sorted(place.iterdir())}")
    for path in (place / "into").rglob("*"):
        if stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise Broken(f"{path} is no file and no folder")
        if path.is_file() and path.stat().st_size > _SMALL:
            raise Broken(f"{path} is larger than the limit")


def _at_start(packed: Path, into: Path) -> None:
    archive.unpack(packed, into, archive.Limits(max_bytes=_SMALL, max_members=100))


def _of_a_training(packed: Path, into: Path) -> None:
    into.mkdir()
    deploys.unpack(packed, into, deploys.Limits(max_bytes=_SMALL, max_members=100))


def _mar(packed: Path, into: Path) -> None:
    into.mkdir()
    mar.unpack(packed, into, archive.Limits(max_bytes=_SMALL, max_members=100))


def _packed(run: Callable[[bytes], None], tar: bytes) -> None:
    # Through a checksum no mutation finds its way: the tar is what is fuzzed.
    run(gzip.compress(tar, 1, mtime=0))


def _archives() -> dict[str, Target]:
    at_start = partial(unpack, _at_start, archive.ArchiveError)
    trained = partial(unpack, _of_a_training, deploys.UnpackError)
    tars, packed = seeds.tars(), [gzip.compress(tar, mtime=0) for tar in seeds.tars()[:2]]
    return {
        "archive": Target(partial(_packed, at_start), tars),
        "archive-gzip": Target(at_start, packed),
        "trained": Target(partial(_packed, trained), tars),
        "mar": Target(partial(unpack, _mar, archive.ArchiveError), seeds.zips()),
    }


def _decoders() -> dict[str, Target]:
    names = ("json", "json-lines", "csv", "csv-header", "npy", "parquet")
    return {
        name: Target(partial(decode, content_type), bodies)
        for name, (content_type, bodies) in zip(names, seeds.bodies().items(), strict=True)
    }


def together(parts: list[Target]) -> Target:
    """All of them as one, in one process: the first byte says which is meant."""

    def run(data: bytes) -> None:
        if data:
            parts[data[0] % len(parts)].run(data[1:])

    return Target(run, [bytes([number]) + seed for number, part in enumerate(parts) for seed in part.seeds])


TARGETS = _archives() | _decoders()
SHORT = {
    "archives": together(list(_archives().values())),
    "decoders": together(list(_decoders().values())),
}
