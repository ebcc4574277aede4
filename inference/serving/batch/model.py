"""The model of a run: an archive is unpacked and compared with its manifest, a folder is taken as it is."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.serving import log
from inference.serving.batch.inputs import BadInput
from inference.serving.model import archive, manifest


@dataclass(frozen=True)
class Model:
    """A folder with code/handler.py, and a digest of all that is in it."""

    folder: Path
    digest: str


@contextlib.contextmanager
def at(place: Path, unpacked: Path) -> Iterator[Model]:
    """The model of a model.tar.gz (unpacked for as long as this lasts) or of a folder.

    StartError where it is not there, is no archive that may be unpacked, or differs from its manifest.
    """
    if place.is_dir():
        yield _checked(place)
        return
    if not place.is_file():
        raise BadInput(f"--model {place} is not there; expected a model.tar.gz or an unpacked model's folder")
    try:
        archive.unpack(place, unpacked)
        yield _checked(unpacked)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _checked(folder: Path) -> Model:
    log.event(manifest.check(folder, None))
    listed = folder / manifest.NAME
    if listed.is_file():  # it has the digest of every file
        return Model(folder, hashlib.sha256(listed.read_bytes()).hexdigest())
    return Model(folder, _digest(folder))


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\0".encode("utf-8", "surrogateescape"))
    return total.hexdigest()
