"""The archive as it grows: members, hashes, and the manifest that lists them, in one pass over each file.

Headers carry a name and a size and nothing of the machine: no owner, no time, fixed modes. Of a file no more
than one chunk is held. What is written is what was checked and hashed: a file is read once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO

from deploy.denylist import find_secret, is_text
from deploy.package.deflate import STORED_BLOCK, GzipWriter
from deploy.package.members import MANIFEST, Member, PackageError

CHUNK = 64 * STORED_BLOCK  # just under 4 MB: what is read, hashed and written at once, and all that is held
HASHED_BESIDE = 256 * 1024  # from here on a thread that hashes costs less than it saves

Progress = Callable[[int], None]


class TarballWriter:
    """Write model.tar.gz to `file`. Use it as a context; the archive is whole after `add_manifest`.

    What is wrong with a member is a PackageError; an OSError is about the output.
    """

    def __init__(self, file: BinaryIO, progress: Progress | None = None) -> None:
        self._gzip = GzipWriter(file)
        self._progress = progress
        self._hashing = ThreadPoolExecutor(max_workers=1)
        self._buffer = memoryview(bytearray(CHUNK))
        self._files: dict[str, dict[str, str | int]] = {}
        self._done = 0

    def __enter__(self) -> TarballWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._hashing.shutdown()

    def add_folder(self, name: str) -> None:
        """Add a folder, so that it has the same mode wherever it is unpacked."""
        self._gzip.write(_header(name, 0, tarfile.DIRTYPE))

    def add_file(self, member: Member) -> None:
        """Add a file and list it. Raises PackageError for a secret in it, or if it changes meanwhile."""
        with _opened(member) as source:
            before = os.fstat(source.fileno())
            self._gzip.write(_header(member.name, before.st_size))
            sha256 = self._copy(source, member, before.st_size)
            after = os.fstat(source.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise _changed(member)
        self._files[member.name] = {"sha256": sha256, "size": before.st_size}

    def add_manifest(self) -> str:
        """Write the manifest as the last member, end the archive, and return the manifest's SHA-256."""
        listed = {"format": 1, "files": self._files}
        text = json.dumps(listed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self._gzip.write(_header(MANIFEST, len(text)) + text + _padding(len(text)))
        self._gzip.write(bytes(2 * tarfile.BLOCKSIZE))
        self._gzip.close()
        return hashlib.sha256(text).hexdigest()

    def _copy(self, source: io.FileIO, member: Member, size: int) -> str:
        sha256 = hashlib.sha256()
        left = size
        while left:
            chunk = self._read(source, member, left)
            if size <= CHUNK:
                _refuse_secrets(member, chunk.tobytes())
            self._hash_and_write(sha256.update, chunk)
            left -= len(chunk)
            self._advance(len(chunk))
        self._gzip.write(_padding(size))
        return sha256.hexdigest()

    def _read(self, source: io.FileIO, member: Member, left: int) -> memoryview:
        """Read the next chunk, whole: where chunks end must not depend on how reads fall."""
        wanted = min(left, CHUNK)
        done = 0
        while done < wanted:
            with _reading(member):
                count = source.readinto(self._buffer[done:wanted])
            if not count:
                raise _changed(member)
            done += count
        return self._buffer[:wanted]

    def _hash_and_write(self, hash_update: Callable[[memoryview], None], chunk: memoryview) -> None:
        if len(chunk) < HASHED_BESIDE:
            hash_update(chunk)
            self._gzip.write(chunk)
            return
        hashed = self._hashing.submit(hash_update, chunk)
        try:
            self._gzip.write(chunk)
        finally:
            hashed.result()  # before the buffer is filled again

    def _advance(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done)


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    # ustar where it has room, pax for long or non-ASCII names and for 8 GB and more
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


@contextmanager
def _opened(member: Member) -> Iterator[io.FileIO]:
    # A link or a pipe put in the file's place since it was listed is neither followed nor waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _reading(member):
        source = io.FileIO(os.open(member.source, flags))
    with source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise _changed(member)
        yield source


@contextmanager
def _reading(member: Member) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PackageError(member.place, error.strerror or str(error), "make it readable") from error


def _refuse_secrets(member: Member, content: bytes) -> None:
    if is_text(content) and (finding := find_secret(content)):
        place = f"{member.place}:{finding.line}"
        fix = "take it out, and give the endpoint's role the access instead"
        raise PackageError(place, f"looks like {finding.kind}", fix)


def _changed(member: Member) -> PackageError:
    return PackageError(member.place, "changed while it was packaged", "let it be finished, and try again")
