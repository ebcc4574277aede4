"""Unpacks a .mar, TorchServe's archive, which is a zip: strictly, for it may be anybody's.

Nothing in it decides where a file goes: names are checked first, and no library's extract() is called.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from inference.serving.errors import shown
from inference.serving.model.archive import ArchiveError, Limits

_PIECE = 1024 * 1024
_LONGEST_NAME = 1024
_DEEPEST = 32
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1


def unpack(archive: Path, destination: Path, limits: Limits | None = None) -> None:
    """Unpack into `destination`, an empty folder.

    ArchiveError for one that is damaged, too large, encrypted, or holds a link, a name twice or one that
    leads elsewhere; what was written by then is the caller's to delete.
    """
    limits = limits or Limits()
    try:
        with zipfile.ZipFile(archive) as opened:
            for member, path in list(_members(opened, limits)):
                _write(opened, member, destination / path)
    except _Refused as error:
        raise ArchiveError(f"{archive.name}: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise ArchiveError(f"{archive.name}: is damaged or no zip: {error}") from error
    except OSError as error:
        raise ArchiveError(
            f"{archive.name}: cannot be unpacked: {error.strerror} ({error.filename})"
        ) from error


class _Refused(Exception):
    """What is wrong with the archive, without its name."""


def _members(opened: zipfile.ZipFile, limits: Limits) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files by the path that each may have; all of them are looked at before the first is written."""
    members = opened.infolist()
    if len(members) > limits.max_members:
        raise _Refused(f"holds more than {limits.max_members:,} files")
    _check_size(members, limits)
    taken: set[PurePosixPath] = set()
    for member in members:
        path = _path(member.filename)
        _check_kind(member)
        if member.is_dir():
            continue
        if path in taken:
            raise _Refused(f"{shown(member.filename)} is in it twice; expected every name once")
        taken.add(path)
        yield member, path


def _check_size(members: list[zipfile.ZipInfo], limits: Limits) -> None:
    size = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if size > limits.max_bytes:
        raise _Refused(f"unpacks to {size:,} bytes; expected at most {limits.max_bytes:,}")
    if size > limits.ratio_counts_from and size > packed * limits.max_ratio:
        raise _Refused(f"unpacks to {size:,} bytes out of {packed:,}; expected no such bomb")


def _check_kind(member: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _Refused(f"{shown(member.filename)} is a link or a device; expected files and folders alone")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
        raise _Refused(f"{shown(member.filename)} is encrypted or packed in a way that is not read here")


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name.isprintable() or "\\" in name or ":" in name:
        raise _Refused(f"{shown(name)}: expected a name without control characters, backslashes and colons")
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _Refused(f"{shown(name)} leads out of the archive")
    if len(name.encode()) > _LONGEST_NAME or len(path.parts) > _DEEPEST or max(map(len, path.parts)) > 255:
        raise _Refused(f"{shown(name)}: expected at most {_LONGEST_NAME} bytes and {_DEEPEST} folders")
    return path


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with opened.open(member) as content, path.open("xb") as file:
        while piece := content.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise _Refused(f"{shown(member.filename)} is longer than it says")
            file.write(piece)
    if left:
        raise _Refused(f"{shown(member.filename)} is cut off")
