"""Unpacks model.tar.gz as it streams from S3, and refuses what could leave its folder or fill the disk.

The headers are read here, not by tarfile.extract: its `data` filter has been walked around (CVE-2025-4517),
and a stream that it cannot parse it takes for the end. Links are refused whatever they point at, since the
platform wants none in an archive, and so nothing written can be led elsewhere by something written before.
The compressed bytes are held 256 KB at a time and the unpacked ones 1 MB at a time, never the archive.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MIB = 1024 * 1024
PACKED_PIECE = 256 * 1024
UNPACKED_PIECE = MIB
MAX_EXTENSION_BYTES = 64 * 1024  # of a long name or a pax header, which are read whole
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32

_EXTENSIONS = {tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE}
_REFUSED = {
    tarfile.SYMTYPE: "is a symbolic link",
    tarfile.LNKTYPE: "is a hard link",
    tarfile.GNUTYPE_LONGLINK: "is a link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a named pipe",
    tarfile.GNUTYPE_SPARSE: "is a sparse file",
}

_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n]+)=")


class ArchiveError(Exception):
    """An archive is refused; the message names the member, or the one before the damage, and says why."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member!r} {reason}" if member else f"the archive {reason}")
        self.member = member
        self.reason = reason


def _after(member: str, what: str) -> ArchiveError:
    return ArchiveError("", f"has {what} " + (f"after {member!r}" if member else "at its start"))


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold. Bytes are those of the tar inside, headers and padding too."""

    max_bytes: int = 64 * 1024 * MIB
    max_members: int = 100_000  # headers of every kind
    # Deflate reaches 1,032 to 1; a model seldom passes 10 to 1. Small archives may.
    max_ratio: int = 250
    ratio_counts_from: int = 256 * MIB


@dataclass(frozen=True)
class _Entry:
    name: str
    parts: tuple[str, ...]
    size: int
    is_folder: bool


def unpack(stream: BinaryIO, destination: Path, limits: Limits) -> None:
    """Unpack a gzip'd tar of files and folders into `destination`, an empty folder private to the caller.

    Files are made read-only (0444), folders 0755. `stream` is read once, forward only, by `read(n)`. Raises
    ArchiveError for an archive that is damaged, too large, holds anything else, or finds the disk full; what
    was written by then is the caller's to delete, and errors of the stream itself pass through.
    """
    if any(destination.iterdir()):
        raise ArchiveError("", f"must be unpacked into an empty folder, and {destination} is not")
    inflated = _Inflated(stream, limits)
    headers = _Headers(inflated, limits.max_members)
    files = 0
    while entry := headers.next_entry():
        inflated.enter(entry)
        if entry.is_folder:
            _make_folder(destination, entry, entry.parts)
            continue
        _make_folder(destination, entry, entry.parts[:-1])
        _write_file(destination.joinpath(*entry.parts), entry, inflated)
        files += 1
    inflated.expect_end()
    if not files:
        raise ArchiveError("", "holds no files")


class _Inflated:
    """The tar inside the gzip stream, within limits. `member` names where reading stands, for errors."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self.member = ""
        self._stream = stream
        self._limits = limits
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._packed = self._unpacked = 0
        self._rest = memoryview(b"")

    def enter(self, entry: _Entry) -> None:
        """Go on to a member, if there is room for what its header announces."""
        self.member = entry.name
        self._count(0, entry.size)

    def take(self, size: int) -> bytes:
        """Read that many bytes, few enough to hold."""
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Read that many bytes, a piece at a time."""
        while size:
            if not self._advance():
                raise ArchiveError(self.member, "breaks off: the tar ends without its end mark")
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            yield piece

    def expect_end(self) -> None:
        """Read the padding after the end mark, and make sure that nothing else follows."""
        while self._advance():
            if self._rest.tobytes().count(0) != len(self._rest):
                raise _after(self.member, "something that is no header")
            self._rest = memoryview(b"")
        if self._gzip.unused_data or self._stream.read(1):
            raise ArchiveError("", "goes on after the end of its gzip stream")

    def _advance(self) -> bool:
        """Make sure that something unpacked is at hand; say no at the end of the gzip stream."""
        while not self._rest and not self._gzip.eof:
            packed = self._gzip.unconsumed_tail or self._fetch()
            try:
                self._rest = memoryview(self._gzip.decompress(packed, UNPACKED_PIECE))
            except zlib.error as error:
                raise ArchiveError("", f"is damaged, or no gzip file ({error})") from error
            self._count(len(self._rest))
        return bool(self._rest)

    def _fetch(self) -> bytes:
        packed = self._stream.read(PACKED_PIECE)
        if not packed:
            raise ArchiveError(
                "", "breaks off before the end of its gzip stream" if self._packed else "is empty"
            )
        self._packed += len(packed)
        return packed

    def _count(self, unpacked: int, announced: int = 0) -> None:
        self._unpacked += unpacked
        limits = self._limits
        if self._unpacked + announced > limits.max_bytes:
            raise ArchiveError(
                self.member, f"is over the {limits.max_bytes:,} bytes that an archive may unpack to"
            )
        if self._unpacked > max(limits.ratio_counts_from, limits.max_ratio * self._packed):
            raise ArchiveError(self.member, f"unpacks to over {limits.max_ratio} times its size: a bomb?")


class _Headers:
    """Reads the tar's headers; the content between two of them is the caller's to take."""

    def __init__(self, inflated: _Inflated, max_members: int) -> None:
        self._inflated = inflated
        self._max = max_members
        self._count = 0

    def next_entry(self) -> _Entry | None:
        """Read up to the next file or folder; None at the end mark."""
        extended: dict[str, bytes] = {}
        while (block := self._inflated.take(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
            header = self._parsed(block)
            if header.type not in _EXTENSIONS:
                return _entry(header, extended)
            extended |= self._extension(header)
        if extended:
            raise _after(self._inflated.member, "a long name without a member")
        return None

    def _parsed(self, block: bytes) -> tarfile.TarInfo:
        self._count += 1
        if self._count > self._max:
            raise _after(self._inflated.member, f"more than the {self._max:,} members allowed")
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise _after(self._inflated.member, f"a damaged header ({error})") from error

    def _extension(self, header: tarfile.TarInfo) -> dict[str, bytes]:
        """Read a long name or a pax header. Of a pax header for all members nothing may matter here."""
        after = self._inflated.member
        if not 0 <= header.size <= MAX_EXTENSION_BYTES:
            raise _after(after, f"a header of {header.size:,} bytes")
        text = self._inflated.take(header.size + -header.size % tarfile.BLOCKSIZE)[: header.size]
        if header.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": text.rstrip(b"\0")}
        records = _pax_records(text, after)
        if any(key.startswith("GNU.sparse") for key in records):
            raise _after(after, "a sparse file")
        if header.type == tarfile.XGLTYPE and records.keys() & {"path", "size", "linkpath"}:
            raise _after(after, "one name or size for all members")
        return records


def _pax_records(text: bytes, after: str) -> dict[str, bytes]:
    """Parse `<length> <key>=<value>` lines, where the length counts the whole line."""
    records: dict[str, bytes] = {}
    start = 0
    while start < len(text):
        match = _PAX_RECORD.match(text, start)
        end = start + int(match[1]) if match else 0
        if match is None or end > len(text) or text[end - 1 : end] != b"\n":
            raise _after(after, "a damaged pax header")
        records[match[2].decode("utf-8", "replace")] = text[match.end() : end - 1]
        start = end
    return records


def _entry(header: tarfile.TarInfo, extended: dict[str, bytes]) -> _Entry:
    path = extended.get("path")
    name = header.name if path is None else path.decode("utf-8", "surrogateescape")
    is_folder = header.type == tarfile.DIRTYPE
    if not is_folder and header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ArchiveError(name, _REFUSED.get(header.type, f"is of the unknown kind {header.type!r}"))
    size = _size(name, header.size, extended.get("size"))
    parts = _parts(name)
    if (is_folder and size) or not (is_folder or parts):
        raise ArchiveError(name, "is a folder with content, or a file without a name")
    return _Entry(name, parts, size, is_folder)


def _size(name: str, in_header: int, in_pax: bytes | None) -> int:
    if in_pax is not None and not re.fullmatch(rb"[0-9]{1,18}", in_pax):
        raise ArchiveError(name, "has a size that is no number")
    size = in_header if in_pax is None else int(in_pax)
    if size < 0:
        raise ArchiveError(name, "has a negative size")
    return size


def _parts(name: str) -> tuple[str, ...]:
    """Split a member's path; refuse any that another system, or a log, could read as something else."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise ArchiveError(name, "has control characters in its name, or is not UTF-8")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise ArchiveError(name, "is an absolute path, or has a backslash or a drive letter in it")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveError(name, "leads out of the archive's folder by '..'")
    if len(parts) > MAX_DEPTH + 1 or len(name.encode()) > MAX_PATH_BYTES:
        raise ArchiveError(name, f"is over {MAX_PATH_BYTES} bytes long or {MAX_DEPTH} folders deep")
    return parts


def _make_folder(destination: Path, entry: _Entry, parts: tuple[str, ...]) -> None:
    for depth in range(1, len(parts) + 1):
        folder = destination.joinpath(*parts[:depth])
        with _storing(entry):
            if not folder.is_dir():
                folder.mkdir()
                folder.chmod(0o755)


def _write_file(path: Path, entry: _Entry, inflated: _Inflated) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _storing(entry):
        file = io.FileIO(os.open(path, flags, 0o444), "wb")
    with file:
        for piece in inflated.pieces(entry.size):
            with _storing(entry):
                _write_all(file, piece)
        os.fchmod(file.fileno(), 0o444)  # whatever the umask
    inflated.take(-entry.size % tarfile.BLOCKSIZE)


def _write_all(file: io.FileIO, piece: memoryview) -> None:
    while piece:
        piece = piece[file.write(piece) :]


@contextlib.contextmanager
def _storing(entry: _Entry) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ArchiveError(entry.name, "is there twice, or is a file and a folder") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "does not fit: the disk is full" if full else f"cannot be written ({error.strerror})"
        raise ArchiveError(entry.name, reason) from error
