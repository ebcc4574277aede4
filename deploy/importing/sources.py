"""What FROM holds: a folder's files, those of a model.tar.gz or .mar, or one file; links are refused."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import unpack
from deploy.denylist import is_secret_name
from deploy.importing import ImportingError, runtime

_TARBALL, _ZIP = b"\x1f\x8b", b"PK"
# A model as SageMaker keeps it, beside the code that goes with it.
_MODEL_ARCHIVE = "model.tar.gz"
_ENDINGS = re.compile(r"\.(tar\.gz|tgz|mar|pth?|joblib|pkl|pickle|bst|py)$")
_MOST_FILES = 100_000


@dataclass(frozen=True)
class Source:
    """The files by their relative names, and what of the folder was left out, with the reason.

    What lies in `scratch` was unpacked there, and is ours.
    """

    files: Mapping[str, Path]
    left_out: tuple[str, ...]
    scratch: Path


def name_of(place: Path) -> str:
    """What a project of it may be called."""
    return _ENDINGS.sub("", place.resolve().name)


def opened(place: Path, scratch: Path) -> Source:
    """What is there; archives are unpacked into `scratch`, an empty folder. Raises ImportingError."""
    if place.is_dir():
        source = _with_model(_walked(place.resolve(), scratch))
    elif place.is_file():
        source = Source({place.name: place}, (), scratch)
        source = with_archive(source, place.name) if _is_archive(place) else source
    else:
        raise ImportingError(f"FROM={place}: is neither a folder nor a file")
    if not source.files:
        raise ImportingError(f"FROM={place}: holds no files")
    return source


def with_archive(source: Source, name: str) -> Source:
    """The source with one of its archives unpacked, in the place of it; what lies beside it wins."""
    archive = source.files[name]
    into = source.scratch / f"unpacked-{len(list(source.scratch.iterdir()))}"
    into.mkdir()
    if _magic(archive) == _ZIP:
        runtime.unpack(archive, into)
    else:
        unpack.unpack(archive, into)
    inside = _walked(into, source.scratch)
    beside = {at: path for at, path in source.files.items() if at != name}
    return replace(source, files={**inside.files, **beside}, left_out=(*source.left_out, *inside.left_out))


def _with_model(source: Source) -> Source:
    return with_archive(source, _MODEL_ARCHIVE) if _MODEL_ARCHIVE in source.files else source


def _walked(folder: Path, scratch: Path) -> Source:
    files: dict[str, Path] = {}
    left_out: list[str] = []
    for entry in _entries(folder, left_out, folder):
        files[Path(entry.path).relative_to(folder).as_posix()] = Path(entry.path)
        if len(files) > _MOST_FILES:
            raise ImportingError(
                f"FROM={folder}: holds more than {_MOST_FILES:,} files; name a smaller folder"
            )
    return Source(files, tuple(left_out), scratch)


def _entries(folder: Path, left_out: list[str], root: Path) -> Iterator[os.DirEntry[str]]:
    """The files to take. Names with a dot first and compiled Python are nothing that a server reads."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = Path(entry.path).relative_to(root).as_posix()
        if entry.name.endswith(".pyc"):
            continue
        if entry.name.startswith("."):
            left_out.append(name)
        elif is_secret_name(name):
            left_out.append(f"{name} (a secret, going by its name)")
        elif entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), left_out, root)
        elif entry.is_file(follow_symlinks=False):
            yield entry
        else:
            is_link = stat.S_ISLNK(entry.stat(follow_symlinks=False).st_mode)
            kind = "a link" if is_link else "no regular file"
            raise ImportingError(
                f"{entry.path}: is {kind}; expected files and folders (cp -rL copies what links lead to)"
            )


def _is_archive(path: Path) -> bool:
    return _magic(path) == _TARBALL or (path.suffix == ".mar" and _magic(path) == _ZIP)


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)
