"""Objects in Cloud Storage, in buckets of the configured project alone.

A bucket's name proves nothing: somebody else may have taken it first, and wait for what is put there. Only
the listing of a project's own buckets tells whose it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from google.api_core.exceptions import NotFound, PreconditionFailed

from deploy.batch.cloud import Stored
from deploy.batch.counting import Readable
from deploy.batch.places import Remote
from deploy.batch.threads import go_on, in_threads
from deploy.config import Config
from deploy.gcp import clients
from deploy.gcp.clients import told
from deploy.target import CloudError, Say

SCHEME = "gs"
# What is held in memory of one object that is read or written: a multiple of 256 KiB.
CHUNK = 8 * 2**20


class NoBucket(CloudError):
    """There is no bucket of that name, in nobody's project."""


@dataclass(frozen=True)
class Content:
    """What any bytes can be held against an object by: each has this checksum, in base64."""

    size: int
    crc32c: str


def check(config: Config) -> None:
    """Raise CloudError unless the configured bucket can be used."""
    reachable(config, config.gcp.bucket, f"deploy.toml: [gcp]: bucket {config.gcp.bucket!r}")


def reachable(config: Config, bucket: str, place: str) -> None:
    """Raise CloudError, beginning with `place`, unless the bucket is there and is the project's."""
    with told():
        _bucket(config, bucket, place)


def _bucket(config: Config, name: str, place: str = "") -> Any:
    project = config.gcp.project
    try:
        return _owned(project, name)
    except LookupError:
        which = place or f"bucket {name!r}"
        if _is_gone(clients.bucket_client(project), name):
            raise NoBucket(f"{which} is not there: create it in project {project}, or name another") from None
        raise CloudError(
            f"{which} is not one of project {project}: whoever has it could read and change what is put "
            "there. Name a bucket of that project"
        ) from None


@cache
def _owned(project: str, name: str) -> Any:
    """Raises LookupError for a bucket that is not the project's."""
    own = clients.bucket_client(project).list_buckets(project=project, prefix=name, **clients.bounded())
    found = next((one for one in own if one.name == name), None)
    if found is None:
        raise LookupError(name)
    return found


def _is_gone(client: Any, name: str) -> bool:
    try:
        client.get_bucket(name, **clients.bounded())
    except NotFound:
        return True
    except Exception:  # noqa: BLE001,S110 - it is there, and that it may not be read is no other answer
        pass
    return False


def blob(config: Config, place: Remote) -> Any:
    """The SDK's object of this key, which need not be there."""
    return _bucket(config, place.bucket).blob(place.key, chunk_size=CHUNK)


@told()
def found(config: Config, place: Remote) -> Stored | None:
    """The object of exactly this key."""
    blob = _bucket(config, place.bucket).get_blob(place.key, **clients.bounded())
    return _stored(blob) if blob else None


@told()
def listed(config: Config, place: Remote) -> list[Stored]:
    """All objects whose keys begin with the place's, in the order of their keys."""
    return [_stored(blob) for blob in _below(config, place)]


def left(config: Config, place: Remote) -> list[Stored]:
    """The same of a bucket that may be gone, and nothing is left of what was there."""
    with suppress(NoBucket):
        return listed(config, place)
    return []


@told()
def contents(config: Config, place: Remote) -> dict[str, Content]:
    """What all objects hold whose keys begin with the place's, by their keys."""
    return {blob.name: Content(blob.size, blob.crc32c) for blob in _below(config, place)}


def _below(config: Config, place: Remote) -> Any:
    return _bucket(config, place.bucket).list_blobs(prefix=place.key, **clients.bounded())


def _stored(blob: Any) -> Stored:
    # An object that was composed of others has no MD5; its generation is never another content's.
    return Stored(blob.name, blob.size, blob.md5_hash or str(blob.generation), blob.time_created)


@contextmanager
def opened(config: Config, place: Remote, start: int = 0) -> Iterator[Readable]:
    """The object's bytes as they are kept, from `start` on; CloudError if it is replaced meanwhile."""
    with told():
        there = _bucket(config, place.bucket).get_blob(place.key, **clients.bounded())
        if there is None:
            raise CloudError(f"{place} does not exist any more")
        if start >= there.size:  # no range lies there
            yield io.BytesIO()
            return
        # No part of a newer object may follow one of an older. What get_blob gives reads by a link of the
        # service's own, this one by its key.
        this = {"raw_download": True, "if_generation_match": there.generation, **clients.bounded()}
        with blob(config, place).open("rb", chunk_size=CHUNK, **this) as reader:
            if start:
                reader.seek(start)
            yield reader


@told()
def upload(config: Config, files: Sequence[tuple[Path, Remote]], sent: Callable[[int], None]) -> None:
    """Make each file an object, which is there whole or not at all; `sent` takes bytes as they go."""
    if files:
        _bucket(config, files[0][1].bucket)  # asked for once, and not by each thread
    in_threads(lambda one: _sent(blob(config, one[1]), one[0], sent), files)


def _sent(blob: Any, path: Path, sent: Callable[[int], None], **conditions: Any) -> None:
    size = path.stat().st_size
    with _Told(path, sent) as file:
        how = {"content_type": "application/octet-stream", **clients.bounded(), **conditions}
        blob.upload_from_file(file, size=size, **how)


class _Told(io.FileIO):
    """A file that says how much of it is read, and is given up where the command is."""

    def __init__(self, path: Path, sent: Callable[[int], None]) -> None:
        super().__init__(path)
        self._sent = sent

    def read(self, size: int | None = -1) -> bytes:
        go_on()
        piece = super().read(-1 if size is None else size) or b""
        self._sent(len(piece))
        return piece


@told()
def add(config: Config, path: Path, place: Remote, say: Say) -> None:
    """Make the file an object, whole or not at all; one that is there already is left as it is."""
    size, done = max(1, path.stat().st_size), 0

    def count(sent: int) -> None:
        nonlocal done
        done += sent
        say(f"{done / size:.0%} of {size / 1e6:,.1f} MB")

    try:
        _sent(blob(config, place), path, count, if_generation_match=0)
    except PreconditionFailed:
        say("is there already")


@contextmanager
def written(config: Config, place: Remote) -> Iterator[BinaryIO]:
    """What is written becomes the object when all went well; else nothing does."""
    how = {"chunk_size": CHUNK, "ignore_flush": True, **clients.bounded()}
    with told(), blob(config, place).open("wb", **how) as writer:
        yield cast(BinaryIO, writer)


@told()
def put(config: Config, place: Remote, body: bytes) -> None:
    """Make a small object of these bytes."""
    how = {"content_type": "application/octet-stream", **clients.bounded()}
    blob(config, place).upload_from_string(body, **how)


@told()
def remove(config: Config, places: Sequence[Remote]) -> None:
    """Delete these objects, which lie in one bucket; one that is not there is no error."""
    if places:
        _bucket(config, places[0].bucket)
    in_threads(lambda place: _removed(blob(config, place)), places)


def _removed(blob: Any) -> None:
    try:
        blob.delete(**clients.bounded())
    except NotFound:
        return
