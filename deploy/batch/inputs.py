"""The files of a run, each read once from end to end before anything is started."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from deploy.batch import counting, headers, kinds
from deploy.batch.cloud import Cloud, Storage
from deploy.batch.counting import BLOCK, Readable, Rules, Tally
from deploy.batch.kinds import CSV, Kind
from deploy.batch.orders import DEFAULT_PAYLOAD_MB, MAX_PAYLOAD_MB, File, check_settings
from deploy.batch.outputs import PART
from deploy.batch.places import BatchError, Place, Remote, prefix
from deploy.batch.threads import in_threads
from deploy.config import Config
from deploy.sections import Batch

# Source: docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: 1024 bytes, a prefix and all.
MAX_NAME_BYTES = 900
MAX_FILE_BYTES = 255 - len(f"..errors.jsonl{PART}")  # what a result is called while it is written
MIB = 2**20


@dataclass(frozen=True)
class Inputs:
    """What a run scores: files of one kind, named relative to `source`, a folder or a prefix."""

    source: Place
    kind: Kind
    settings: Batch
    files: tuple[File, ...]
    header: str = ""


@dataclass(frozen=True)
class _Found:
    name: str
    size: int
    digest: str = ""  # as its store tells it; a local file's is read
    changed_ns: int = 0


@dataclass(frozen=True)
class _Look:
    """One file to look at, and how."""

    cloud: Cloud
    source: Place
    kind: Kind
    settings: Batch


def look(cloud: Cloud, place: Place, settings: Batch) -> Inputs:
    """Find, check and count the files. Speaks to the cloud only where the input lies there.

    Raises BatchError for anything that could not be scored, naming the file and, if there is one, the line.
    """
    source, found = _local(place) if isinstance(place, Path) else _remote(cloud, place)
    if not found:
        raise BatchError(f"{place}: no input there, expected files named {kinds.EXPECTED}")
    kind = kinds.one_kind(_place(source, one.name) for one in found)
    check_settings(settings, kind)
    cloud.transforms.check_settings(settings, kind)
    looks = in_threads(partial(_looked, _Look(cloud, source, kind, settings)), found)
    header = headers.one_header([(file.name, text) for file, text in looks])
    return Inputs(source, kind, settings, tuple(file for file, _ in looks), header)


def _local(place: Path) -> tuple[Path, list[_Found]]:
    if not place.exists():
        raise BatchError(f"{place}: not there, expected a file or a folder to score")
    if place.is_dir():
        return place, sorted(_below(place), key=lambda one: one.name.encode())
    return place.parent, [_one(place.parent, place)]


def _below(place: Path) -> Iterator[_Found]:
    def refuse(error: OSError) -> None:
        raise BatchError(f"{error.filename}: {error.strerror}: make it readable")

    for root, folders, names in os.walk(place, onerror=refuse):
        folders[:] = filter(kinds.is_input, folders)
        linked = [Path(root, name) for name in folders if Path(root, name).is_symlink()]
        if linked:
            raise BatchError(f"{linked[0]}: a link to a folder, expected the folder itself: name it as INPUT")
        yield from (_one(place, Path(root, name)) for name in names if kinds.is_input(name))


def _one(source: Path, path: Path) -> _Found:
    name = path.relative_to(source).as_posix()
    if not path.is_file():
        raise BatchError(f"{path}: no regular file, expected one")
    seen = path.stat()
    return _Found(_usable(name, path), seen.st_size, changed_ns=seen.st_mtime_ns)


def _remote(cloud: Cloud, place: Remote) -> tuple[Remote, list[_Found]]:
    """The object of exactly this key, else all that lie under it as a folder."""
    storage, config = cloud.storage, cloud.config
    storage.reachable(config, place.bucket, f"INPUT {place}: the bucket")
    if place.key and (alone := storage.found(config, place)):
        stem, _, name = place.key.rpartition("/")
        source = Remote(place.scheme, place.bucket, f"{stem}/" if stem else "")
        return source, [_Found(_usable(name, place), alone.size, alone.digest)]
    source = prefix(place)
    stored = storage.listed(config, source)
    inside = [(one.key[len(source.key) :], one) for one in stored if not one.key.endswith("/")]
    return source, [
        _Found(_usable(name, source / name), one.size, one.digest)
        for name, one in inside
        if kinds.is_input(name)
    ]


def _usable(name: str, place: object) -> str:
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        raise BatchError(f"{str(place)!r}: a name of control characters or no UTF-8: rename the file")
    if len(name.encode()) > MAX_NAME_BYTES or len(Path(name).name.encode()) > MAX_FILE_BYTES:
        raise BatchError(f"{place}: the name is too long for what is added to it: rename the file")
    return name


def _looked(how: _Look, found: _Found) -> tuple[File, str]:
    """The file as counted, and its header."""
    place = _place(how.source, found.name)
    try:
        return _counted(how, found, place) if how.kind.by_lines else (_table(how, found, place), "")
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BatchError(f"{place}: cannot be read: {reason}") from error


def _place(source: Place, name: str) -> str:
    return str(source / name)


def _counted(how: _Look, found: _Found, place: str) -> tuple[File, str]:
    settings, csv = how.settings, how.kind.content_type == CSV
    strip = settings.header == "strip"
    rules = Rules((settings.max_payload_mb or DEFAULT_PAYLOAD_MB) * MIB, csv, strip)
    with opened(how.cloud.storage, how.cloud.config, how.source / found.name) as raw:
        hashed = Hashed(raw)
        tally = counting.count(unpacked(hashed, how.kind), rules, place)
        digest = found.digest or hashed.whole()
    header = _header(place, tally, strip) if csv else ""
    rows = tally.records - strip
    if rows < 1:
        raise BatchError(f"{place}: empty, expected at least one record")
    return File(found.name, found.size, digest, rows, tally.blank, found.changed_ns), header


def _header(place: str, tally: Tally, strip: bool) -> str:
    if strip:
        return headers.header(place, tally.first) if tally.first else ""
    headers.refuse_likely(place, tally.first)
    return ""


@contextmanager
def opened(storage: Storage, config: Config, place: Place) -> Iterator[Readable]:
    """The file's bytes as they lie there."""
    if isinstance(place, Path):
        with place.open("rb", buffering=0) as file:
            yield cast(Readable, file)
    else:
        with storage.opened(config, place) as stream:
            yield stream


def unpacked(stream: Readable, kind: Kind) -> Readable:
    """The same without its compression."""
    return cast(Readable, gzip.GzipFile(fileobj=cast(Any, stream))) if kind.gzipped else stream


class Hashed:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: Readable) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    def read(self, size: int = BLOCK, /) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        return data

    def whole(self) -> str:
        """The SHA-256 of all of it: what nobody has read yet is read."""
        while self.read(BLOCK):
            pass
        return self._hash.hexdigest()


def _table(how: _Look, found: _Found, place: str) -> File:
    """A Parquet file: its rows are told by its footer."""
    if found.size > MAX_PAYLOAD_MB * MIB:
        raise BatchError(
            f"{place}: {found.size / MIB:,.0f} MB, and a Parquet file travels whole, {MAX_PAYLOAD_MB} MB at "
            "the most: split it, or score it without a cloud (ENGINE=local or --engine local)"
        )
    if not isinstance(how.source, Path):
        with _sparse(how.cloud, how.source / found.name, found.size) as file:
            return File(found.name, found.size, found.digest, _rows(file, place))
    with (how.source / found.name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(found.name, found.size, digest, _rows(file, place), changed_ns=found.changed_ns)


@contextmanager
def _sparse(cloud: Cloud, place: Remote, size: int) -> Iterator[IO[bytes]]:
    """A file of the object's size that holds its footer alone: the rest is not fetched.

    Source: parquet.apache.org/docs/file-format: the last 8 bytes are the footer's length and a mark.
    """
    with tempfile.TemporaryFile() as file:
        start = max(0, size - 8)
        for _ in range(2):
            with cloud.storage.opened(cloud.config, place, start) as stream:
                file.seek(start)
                while data := stream.read(BLOCK):
                    file.write(data)
            file.seek(max(0, size - 8))
            start = max(0, size - 8 - int.from_bytes(file.read(4), "little"))
        yield file


def _rows(file: IO[bytes], place: str) -> int:
    try:
        # Some 0.2 s and 100 MB: only where there is Parquet.
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise BatchError(
            f"{place}: Parquet is counted with pyarrow, which is missing: pip install pyarrow"
        ) from None
    try:
        rows = int(parquet.read_metadata(file).num_rows)
    except (arrow.ArrowException, OSError) as error:
        raise BatchError(f"{place}: no Parquet file: {str(error).splitlines()[0][:200]}") from error
    if not rows:
        raise BatchError(f"{place}: empty, expected at least one record")
    return rows


def changed(source: Path, file: File) -> bool:
    """Whether a local file is not what it was when it was looked at."""
    now = (source / file.name).stat()
    return (now.st_size, now.st_mtime_ns) != (file.size, file.changed_ns)
