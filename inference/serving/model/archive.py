"""Unpacks a model.tar.gz on one's own machine, strictly: what a platform would unpack for the container.

Whoever names an archive may have it from elsewhere, so nothing in it decides where a file goes: tarfile reads
the headers and never extracts (its `data` filter has been walked around, CVE-2025-4517). The archive and its
files pass through in pieces; the model is never held in memory.
"""

from __future__ import annotations

import errno
import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from inference.serving.errors import StartError, shown

_PIECE = 1024 * 1024
_LONGEST_NAME = 1024
_DEEPEST = 32
_LONGEST_HEADER = 64 * 1024  # of a long name or a pax header, which tarfile reads whole
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class ArchiveError(StartError):
    """The archive is refused; the message names it and the member, and says what an archive may hold."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to. Sizes in bytes, counting headers and padding too."""

    max_bytes: int = 64 * 2**30
    max_members: int = 100_000
    # Deflate reaches 1,032 to 1, a model seldom 10 to 1; what stays small may be anything.
    max_ratio: int = 250
    ratio_counts_from: int = 256 * 2**20


def unpack(archive: Path, destination: Path, limits: Limits | None = None) -> None:
    """Unpack a gzip'd tar of regular files and folders into `destination`, a new folder.

    Files become 0444 and folders 0755. ArchiveError for an archive that is damaged, cut off, too large, or
    holds a link, a device, a name twice or one that leads elsewhere; also where the disk is full. What was
    written by then is the caller's to delete.
    """
    try:
        destination.mkdir(parents=True)
        with archive.open("rb") as packed, gzip.open(packed) as unpacked:
            _unpack(_Counted(unpacked, packed, limits or Limits()), destination)
    except _Refused as refused:
        raise ArchiveError(f"{archive}: {refused}") from None
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ArchiveError(f"{archive}: {_reason(error)}") from error


class _Refused(Exception):
    """What is wrong, without the archive's name."""


class _Header(tarfile.TarInfo):
    """A header that is damaged is an error: tarfile alone would take it for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _Header:  # the name that tarfile calls it by
        try:
            return super().fromtarfile(tarfile)
        except _END_MARK:
            raise
        except _DAMAGED as error:
            raise _Refused(f"has a damaged header ({error})") from error

    def _proc_member(self, tarfile: tarfile.TarFile) -> _Header:
        # Every release of Python 3 comes by here before it reads a long name or a pax header whole; frombuf,
        # which is public, some releases pass by.
        if self.type in _EXTENSIONS and self.size > _LONGEST_HEADER:
            raise _Refused(f"has a header of {self.size:,} bytes; expected at most {_LONGEST_HEADER:,}")
        found: _Header = super()._proc_member(tarfile)  # type: ignore[misc]  # the stubs leave it out
        return found


_END_MARK: type[Exception] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # the stubs forget it
_DAMAGED = tarfile.HeaderError


class _Counted:
    """The tar inside the gzip file, read forward only, and no more of it than the limits allow."""

    def __init__(self, unpacked: gzip.GzipFile, packed: BinaryIO, limits: Limits) -> None:
        self._unpacked = unpacked
        self._packed = packed
        self.limits = limits
        self._count = 0

    def read(self, size: int) -> bytes:
        piece = self._unpacked.read(size)
        self._count += len(piece)
        limits = self.limits
        if self._count > limits.max_bytes:
            raise _Refused(f"unpacks to over {limits.max_bytes:,} bytes; expected a model of less")
        if self._count > max(limits.ratio_counts_from, limits.max_ratio * self._packed.tell()):
            raise _Refused(f"unpacks to over {limits.max_ratio} times its size; expected a model, not a bomb")
        return piece


def _unpack(stream: _Counted, destination: Path) -> None:
    files = 0
    # "r|" reads forward only: no header can send it back.
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as tar:  # type: ignore[call-overload]  # read() is all it calls
        for member in _members(tar, stream.limits.max_members):
            path = destination / _place(member)
            if member.isdir():
                _make_folders(path, destination)
                continue
            _make_folders(path.parent, destination)
            _write(path, member, tar)
            files += 1
    if not files:
        raise _Refused("holds no files; expected a model")
    while stream.read(_PIECE):  # the checksum comes last
        pass


def _members(tar: tarfile.TarFile, most: int) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar, 1):
        if count > most:
            raise _Refused(f"has more than {most:,} members")
        if not member.isfile() and not member.isdir() or member.issparse():
            kind = _KINDS.get(member.type, f"of the unknown kind {member.type!r}")
            raise _Refused(f"{shown(member.name)} is {kind}; expected regular files and folders alone")
        yield member


def _place(member: tarfile.TarInfo) -> PurePosixPath:
    """The member's path below the destination; refused where a reader could take it for another."""
    name = member.name
    # Half a surrogate pair is how a name that is not UTF-8 looks here; it is not printable either.
    if not name.isprintable() or "\\" in name:
        raise _Refused(f"{shown(name)}: expected a name without control characters and backslashes, in UTF-8")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _Refused(f"{shown(name)} leads out of the archive; expected a path below it")
    if len(name.encode()) > _LONGEST_NAME or len(path.parts) > _DEEPEST:
        raise _Refused(f"{shown(name)}: expected at most {_LONGEST_NAME} bytes and {_DEEPEST} folders")
    if member.isfile() and not path.parts:
        raise _Refused("has a file without a name")
    return path


def _make_folders(path: Path, destination: Path) -> None:
    for folder in [*reversed(path.relative_to(destination).parents), path.relative_to(destination)]:
        if not (destination / folder).is_dir():
            (destination / folder).mkdir(mode=0o755)


def _write(path: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    content = tar.extractfile(member)
    with os.fdopen(os.open(path, flags, 0o444), "wb") as file:
        while content is not None and (piece := content.read(_PIECE)):
            file.write(piece)
    if path.stat().st_size != member.size:
        raise _Refused(f"{shown(member.name)} is cut off; expected {member.size:,} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is there already: expected every name once, as a file or as a folder"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "does not fit: the disk is full"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be unpacked: {error.strerror} ({error.filename})"
    return f"is damaged, cut off, or no gzip'd tar ({error})"
