"""Which files go into the archive, under which names: the weights at the root, the code under `code/`.

Names are read as bytes and must be UTF-8, so that neither locale nor file order reaches the archive.
What another machine would unpack differently, or not at all, is refused here: links, devices, odd names.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from deploy.denylist import is_secret_name

CODE = "code"
MANIFEST = "code/manifest.json"
MAX_NAME_BYTES = 255  # one part of a path: the limit of the usual file systems
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32

_LEFT_OUT = ("__pycache__", "*.pyc", "*.pyo", "*~", ".*.sw?", "#*#", ".#*", ".DS_Store", "._*", "Thumbs.db")
_LEFT_OUT_TOOLS = (
    ".idea",
    ".vscode",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
)
_DROPPING = re.compile("|".join(translate(pattern) for pattern in _LEFT_OUT + _LEFT_OUT_TOOLS))
_KIT = "serving"  # the runtime is in the image already, and a second copy would hide it


class PackageError(Exception):
    """A model or its code cannot be packaged; the message says where, what was found, and what to do."""

    def __init__(self, place: str, value: str, fix: str) -> None:
        super().__init__(f"{place}: {value}: {fix}")
        self.place = place
        self.value = value
        self.fix = fix


@dataclass(frozen=True)
class Member:
    """A file of the archive: its name there, where it lies here, and its bytes when it was listed."""

    name: str
    source: bytes
    size: int

    @property
    def place(self) -> str:
        """The source as a person may be shown it."""
        return shown(self.source)


def collect(model_dir: Path, code_dir: Path) -> list[Member]:
    """List the files to be packaged, sorted by name in the archive.

    Left out: the kit's `serving/` at the top of the code, compiled Python, editors' and tools' droppings,
    empty folders. Raises PackageError for a missing or empty folder and for any file that must not go in, and
    OSError for what cannot be looked at.
    """
    weights = list(_walk(_root(model_dir, "train a model first: `make train`"), ""))
    if not weights:
        raise PackageError(str(model_dir), "holds no files", "train a model first: `make train`")
    code = list(_walk(_root(code_dir, "create it, with handler.py in it"), CODE))
    for member in weights:
        if member.name.split("/")[0] == CODE:
            raise PackageError(member.place, f"takes the place of {CODE}/ in the archive", "rename it")
    for member in code:
        if member.name == MANIFEST:
            raise PackageError(member.place, f"takes the place of the kit's {MANIFEST}", "rename it")
    return sorted(weights + code, key=lambda member: member.name.encode())


def contents(folder: Path, name: str, fix: str) -> list[Member]:
    """List the files of one folder as `name`/…, by the same rules and with the same errors as `collect`.

    `fix` is what to do about a folder that is missing or empty.
    """
    members = list(_walk(_root(folder, fix), name))
    if not members:
        raise PackageError(str(folder), "holds no files", fix)
    return members


def folders(members: list[Member]) -> set[str]:
    """Name every folder that the members lie in."""
    paths = (member.name.split("/") for member in members)
    return {"/".join(parts[:depth]) for parts in paths for depth in range(1, len(parts))}


def shown(path: bytes) -> str:
    """Write a path so that it can go to a terminal: what is not printable is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _root(folder: Path, fix: str) -> bytes:
    if not folder.exists():
        raise PackageError(str(folder), "is not there", fix)
    if not folder.is_dir():
        raise PackageError(str(folder), "is not a folder", fix)
    return os.fsencode(folder)


def _walk(folder: bytes, prefix: str) -> Iterator[Member]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = _checked_name(entry, prefix)
        if name in ("", f"{CODE}/{_KIT}"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, name)
        elif entry.is_file(follow_symlinks=False):
            yield Member(name, entry.path, entry.stat(follow_symlinks=False).st_size)
        else:
            raise PackageError(shown(entry.path), f"is {_kind(entry)}", "put a regular file in its place")


def _checked_name(entry: os.DirEntry[bytes], prefix: str) -> str:
    """Name an entry in the archive, or return nothing where it stays out."""
    place = shown(entry.path)
    try:
        own = entry.name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackageError(place, "its name is not UTF-8", "rename it") from error
    name = f"{prefix}/{own}" if prefix else own
    if is_secret_name(name):
        raise PackageError(place, "holds secrets, going by its name", "keep it out of this folder")
    if _DROPPING.match(own):
        return ""
    if reason := _bad_name(own, name):
        raise PackageError(place, reason, "rename it")
    return name


def _bad_name(own: str, name: str) -> str:
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in own):
        return "its name has control characters"
    if "\\" in own or re.match("[A-Za-z]:", own):
        return "its name has a backslash or a drive letter, which other systems read as a path"
    if len(own.encode()) > MAX_NAME_BYTES or len(name.encode()) > MAX_PATH_BYTES:
        return f"its name is longer than {MAX_NAME_BYTES} bytes, or its path than {MAX_PATH_BYTES}"
    if name.count("/") > MAX_DEPTH:
        return f"lies more than {MAX_DEPTH} folders deep"
    return ""


def _kind(entry: os.DirEntry[bytes]) -> str:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
