"""The files that an image is built of, and their digest: the same from the same files, wherever they lie.

The context's root stands for the repository's: the Dockerfile is at infra/image/Dockerfile in it and copies
by the repository's own paths, so it is built with `-f infra/image/Dockerfile .`. Whatever the Dockerfile
copies goes in, and nothing else: the kit's own files, and of the project inference/requirements.txt alone.
A handler is not among them, so an edit of it builds nothing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.denylist import find_secret, is_secret_name, is_text
from deploy.image import dockerfile

DOCKERFILE = "infra/image/Dockerfile"
REQUIREMENTS = "inference/requirements.txt"  # the one file that is the project's
KIT = Path(__file__).resolve().parents[2]
MAX_FILE_BYTES = 4 * 2**20  # the kit's sources are thousands of bytes each
_LEFT_OUT = re.compile(r"__pycache__|\.DS_Store|\._.*|.*\.py[co]|.*~|\..*\.sw.|#.*#|\.#.*")
# Zip has no earlier time, and the same files must make the same bytes.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# A file that another line names would not be in the context.
_OTHER_FILE = re.compile(r"\s*(-r|-c|-e|--requirement|--constraint|--editable)\b|\s*(\.{0,2}/|file:)")


class ContextError(Exception):
    """Something cannot or must not go into an image; the message says where, what was found, what to do."""

    def __init__(self, place: object, value: str, fix: str) -> None:
        super().__init__(f"{place}: {value}: {fix}")


@dataclass(frozen=True)
class File:
    """One file: its path in the context, its bytes, and whether it may be executed."""

    name: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Context:
    """What an image is built of, sorted by name."""

    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over every file's name, mode and content, in hex."""
        told = [[f.name, f.executable, hashlib.sha256(f.content).hexdigest()] for f in self.files]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def dockerfile(self) -> str:
        """The Dockerfile's text."""
        return next(f.content for f in self.files if f.name == DOCKERFILE).decode()

    @property
    def requirements(self) -> str:
        """What the project requires, as it says it; empty where it is not asked for."""
        return next((f.content.decode("utf-8", "replace") for f in self.files if f.name == REQUIREMENTS), "")

    def zipped(self, more: Sequence[File] = ()) -> bytes:
        """A zip archive of it, the same bytes from the same files: what builds in the cloud start from."""
        buffer = io.BytesIO()
        # Stored: what deflate makes of the same bytes depends on zlib's release.
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for file in (*self.files, *more):
                entry = zipfile.ZipInfo(file.name, _NO_TIME)
                entry.create_system = 3  # Unix, wherever this runs, so that the modes below count
                entry.external_attr = (stat.S_IFREG | _mode(file)) << 16
                archive.writestr(entry, file.content)
        return buffer.getvalue()

    def write(self, folder: Path) -> None:
        """Write it below a folder that is empty: what builds on this machine start from."""
        for file in self.files:
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(_mode(file))


def read(project: Path, kit: Path = KIT) -> Context:
    """What an image for this project is built of. Raises ContextError for a file that must not go in."""
    recipe = _file(kit, DOCKERFILE)
    try:
        wanted = dockerfile.sources(recipe.content.decode())
    except ValueError as error:
        raise ContextError(kit / DOCKERFILE, str(error), "name files and folders one by one") from error
    found = {recipe.name: recipe}
    for name in (name for pattern in wanted for name in _named(kit, pattern)):
        found |= {file.name: file for file in _files(project if name == REQUIREMENTS else kit, name)}
    for file in found.values():
        _check(file, project if file.name == REQUIREMENTS else kit)
    return Context(tuple(found[name] for name in sorted(found)))


def _named(kit: Path, pattern: str) -> list[str]:
    folder, _, last = pattern.rpartition("/")
    if "*" not in last:
        return [pattern]
    names = [entry.name for entry in (kit / folder).iterdir()]
    return [f"{folder}/{name}".lstrip("/") for name in fnmatch.filter(names, last)]


def _files(root: Path, name: str) -> Iterator[File]:
    place = root / name
    if name == REQUIREMENTS and not os.path.lexists(place):
        yield File(name, b"")  # nothing is required
    elif place.is_dir() and not place.is_symlink():
        for entry in place.iterdir():
            if not _LEFT_OUT.fullmatch(entry.name):
                yield from _files(root, f"{name}/{entry.name}")
    else:
        yield _file(root, name)


def _file(root: Path, name: str) -> File:
    place = root / name
    fix = "put a regular file in its place"
    try:
        # A link would bring in a file from anywhere on this machine.
        opened = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "is a symbolic link" if place.is_symlink() else error.strerror or str(error)
        raise ContextError(place, why, fix) from error
    with os.fdopen(opened, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ContextError(place, "is no regular file", fix)
        return File(name, file.read(MAX_FILE_BYTES + 1), bool(mode & stat.S_IXUSR))


def _check(file: File, root: Path) -> None:
    place = root / file.name
    if len(file.content) > MAX_FILE_BYTES:
        raise ContextError(place, f"is larger than {MAX_FILE_BYTES} bytes", "keep it out of the image")
    if is_secret_name(file.name):
        raise ContextError(place, "holds secrets, going by its name", "keep it out of the image")
    if is_text(file.content) and (finding := find_secret(file.content)):
        raise ContextError(f"{place}:{finding.line}", f"looks like {finding.kind}", "take it out")
    if file.name == REQUIREMENTS:
        _check_requirements(place, file.content.decode("utf-8", "replace").splitlines())


def _check_requirements(place: Path, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines, 1):
        if _OTHER_FILE.match(line):
            raise ContextError(
                f"{place}:{number}", "names another file, which is not in the image", "name packages alone"
            )


def _mode(file: File) -> int:
    return 0o755 if file.executable else 0o644
