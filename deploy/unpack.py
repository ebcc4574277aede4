"""model.tar.gz of a training job, unpacked here: files and folders, and nothing that leaves their folder.

A job runs code and libraries of many hands, and what it leaves is written to this machine. So nothing is
extracted by tarfile, whose filters have been walked around (CVE-2025-4517): it reads headers, and what they
announce is held against a short list before it is written. Links are refused whatever they point at.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import re
import shutil
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MIB = 1024 * 1024
MAX_EXTENSION_BYTES = 64 * 1024  # of a long name or a pax header, which are read whole
MAX_PATH_BYTES, MAX_NAME_BYTES, MAX_DEPTH = 1024, 255, 32
_EXTENSIONS = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE}


class UnpackError(Exception):
    """A model is not taken; the message names the archive, the member, and what is wrong with it."""


class _Refused(Exception):
    """What is wrong, without the archive's name."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to."""

    max_bytes: int = 64 * 1024 * MIB
    max_members: int = 100_000


def unpack(archive: Path, into: Path, limits: Limits | None = None) -> None:
    """Unpack a gzip'd tar into an empty folder, private to the caller. Owners, modes and times are not taken.

    Raises UnpackError for an archive that is damaged, too large or empty, or that holds anything but files
    and folders under plain relative names; what was written by then is the caller's to delete.
    """
    try:
        with gzip.open(archive) as inflated:
            _write_members(inflated, into, limits or Limits())
            _expect_end(inflated)
    except _Refused as refused:
        raise UnpackError(f"{archive.name}: {refused}") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, RecursionError) as error:
        raise UnpackError(f"{archive.name}: is damaged, or no gzip'd tar ({error})") from error


def _write_members(inflated: gzip.GzipFile, into: Path, limits: Limits) -> None:
    left, count, files = limits.max_bytes, 0, 0
    with tarfile.open(fileobj=inflated, mode="r:", tarinfo=_Header) as tar:
        while member := tar.next():
            if member.size < 0:
                raise _Refused(f"{member.name!r} has a negative size")
            left, count = left - member.size, count + 1
            if left < 0 or count > limits.max_members:
                most = f"{limits.max_bytes:,} bytes" if left < 0 else f"{limits.max_members:,} members"
                raise _Refused(f"{member.name!r} is over the {most} that a model may have")
            parts = _checked(member)
            if member.isdir():
                _make_folders(into, parts)
            else:
                _make_folders(into, parts[:-1])
                _write_file(tar, member, into.joinpath(*parts))
                files += 1
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all, and typeshed has none
    if not files:
        raise _Refused("holds no files")


class _Header(tarfile.TarInfo):
    """A header as tarfile reads it, but that damage is an error: tarfile takes it for the archive's end."""

    def _proc_member(self, tarfile: tarfile.TarFile) -> Self:
        # Every release of Python 3 comes by here before it reads a long name or a pax header whole; frombuf,
        # which is public, some releases pass by.
        if self.type in _EXTENSIONS and not 0 <= self.size <= MAX_EXTENSION_BYTES:
            raise _Refused(f"has a header of {self.size:,} bytes")
        found: Self = super()._proc_member(tarfile)  # type: ignore[misc]  # the stubs leave it out
        return found

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _END_MARK:
            raise
        except _DAMAGE as error:
            raise _Refused(f"is damaged ({error})") from error


# What tarfile raises at two blocks of zeros, and at anything else that is no header.
_END_MARK: type[Exception] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # typeshed leaves it out
_DAMAGE: type[Exception] = tarfile.HeaderError


def _checked(member: tarfile.TarInfo) -> tuple[str, ...]:
    """The member's path in parts. _Refused for what is no plain file or folder under a plain name."""
    name = member.name
    if member.issparse() or any(key.startswith("GNU.sparse") for key in member.pax_headers):
        raise _Refused(f"{name!r} is a sparse file")
    if not (member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)):
        link = member.issym() or member.islnk()
        raise _Refused(f"{name!r} is {'a link' if link else 'a device, a pipe or of an unknown kind'}")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise _Refused(f"{name!r} has control characters in its name, or is not UTF-8")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise _Refused(f"{name!r} is an absolute path, or has a backslash or a drive letter in it")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise _Refused(f"{name!r} leads out of its folder by '..'")
    if not parts and not member.isdir():
        raise _Refused("holds a file without a name")
    _refuse_long(name, parts)
    return parts


def _refuse_long(name: str, parts: tuple[str, ...]) -> None:
    long = [part for part in parts if len(part.encode()) > MAX_NAME_BYTES]
    if long or len(name.encode()) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH + 1:
        raise _Refused(
            f"{name[:60]!r}… is over {MAX_PATH_BYTES} bytes long ({MAX_NAME_BYTES} for one name) "
            f"or {MAX_DEPTH} folders deep"
        )


def _make_folders(into: Path, parts: tuple[str, ...]) -> None:
    for depth in range(1, len(parts) + 1):
        folder = into.joinpath(*parts[:depth])
        with _storing("/".join(parts[:depth])):
            if not folder.is_dir():
                folder.mkdir()


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.size > shutil.disk_usage(path.parent).free:
        raise _Refused(f"{member.name!r} does not fit: it has {member.size:,} bytes, the disk fewer")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _storing(member.name):
        file = io.FileIO(os.open(path, flags, 0o644), "wb")
    content = tar.extractfile(member)
    with file, content or io.BytesIO() as source:
        while piece := source.read(MIB):
            with _storing(member.name):
                _write_all(file, memoryview(piece))


def _write_all(file: io.FileIO, piece: memoryview) -> None:
    while piece:
        piece = piece[file.write(piece) :]


def _expect_end(inflated: gzip.GzipFile) -> None:
    """Read the padding after the end mark, so that gzip's checksum is checked; nothing else may follow."""
    rest = inflated.read(MIB)
    if rest.strip(b"\0") or inflated.read(1):
        raise _Refused("goes on after its end mark")


@contextlib.contextmanager
def _storing(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise _Refused(f"{name!r} is there twice, or is a file and a folder") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "does not fit: the disk is full" if full else f"cannot be written ({error.strerror})"
        raise _Refused(f"{name!r} {reason}") from error
