"""The project's folder, made beside its place and moved there in one step: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.importing import ImportingError
from deploy.importing.layout import Layout

CODE, MODEL = "inference", "build/model"


@dataclass(frozen=True)
class Place:
    """Where the project comes to, and a folder on the same disk where it is made."""

    to: Path
    scratch: Path

    @property
    def project(self) -> Path:
        return self.scratch / "project"

    @property
    def unpacked(self) -> Path:
        return self.scratch / "unpacked"


@contextmanager
def made(to: Path, source: Path) -> Iterator[Place]:
    """A place to lay a project out in; what is left of it at the end, for whatever reason, goes.

    Raises ImportingError where `to` is taken, or one of the two lies in the other.
    """
    _check(to, source)
    there = next(folder for folder in to.absolute().parents if folder.is_dir())
    scratch = Path(tempfile.mkdtemp(prefix=".slipway-import-", dir=there))
    try:
        place = Place(to, scratch)
        place.unpacked.mkdir()
        yield place
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def lay(place: Place, layout: Layout) -> None:
    """Copy the files below the project. Sources are only read."""
    for folder, files in ((CODE, layout.code), (MODEL, layout.model)):
        (place.project / folder).mkdir(parents=True)
        for name, path in files.items():
            _copy(path, place.project / folder / name, place.scratch)


def write(place: Place, texts: Mapping[str, str]) -> None:
    """Write texts, by their names below the project."""
    for name, text in texts.items():
        (place.project / name).write_text(text, encoding="utf-8")


def finish(place: Place) -> None:
    """Move the project to its place."""
    place.to.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.project.rename(place.to)  # over an empty folder, too, and over no other
    except OSError as error:
        raise ImportingError(
            f"TO={place.to}: {error.strerror}; name a folder that is not there yet"
        ) from error


def _check(to: Path, source: Path) -> None:
    if not source.exists():
        raise ImportingError(f"FROM={source}: is not there; expected a folder or a file")
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise ImportingError(f"TO={to}: is there and not empty; name a folder that is not there yet")
    if to.is_symlink():
        raise ImportingError(f"TO={to}: is a link; name a folder that is not there yet")
    mine, theirs = to.resolve(), source.resolve()
    if mine.is_relative_to(theirs) or theirs.is_relative_to(mine):
        raise ImportingError(f"TO={to}: lies in FROM={source}, or it in TO; name a folder elsewhere")


def _copy(path: Path, destination: Path, scratch: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    # What was unpacked here is ours, and a model may be large: it is moved, so to say. A second place copies.
    if path.is_relative_to(scratch) and path.stat().st_nlink == 1:
        with suppress(OSError):
            os.link(path, destination)
            return
    shutil.copyfile(path, destination)
