"""S3's objects as files: moto keeps the records of a bucket, and here its bytes stay out of memory.

moto holds an object's value whole to store it, to join a multipart upload and to read it, several times over
for a model of a gigabyte. What is replaced of it is `FakeKey.value`'s setter and `FakeMultipart`'s joining;
the pinned version and tests/infra/local/test_objects.py hold that together.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML, S3ClientError
from moto.s3.models import FakeKey, FakeMultipart, MultipartChecksumBuilder, s3_backends
from moto.settings import S3_UPLOAD_PART_MIN_SIZE
from moto.utilities.utils import get_partition

from infra.local.cloud import Caller
from infra.local.errors import AwsError

CHUNK = 1024 * 1024
MEMORY_BYTES = 256 * 1024  # what an object may have in memory; more is a file


def keep_in_files(folder: Path) -> None:
    """From now on moto's objects are unnamed files in that folder, which end with this process."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(MEMORY_BYTES)
    key_class: Any = FakeKey
    key_class.value = property(key_class.value.fget, _store)
    upload_class: Any = FakeMultipart
    upload_class.complete = _complete


def open_object(caller: Caller, bucket: str, key: str) -> BinaryIO:
    """See `Cloud.open_object`."""
    return _reader(_find(caller, bucket, key))


def size_of(caller: Caller, bucket: str, key: str) -> int:
    """The object's size in bytes. Raises AwsError as `open_object` does."""
    return cast(int, _find(caller, bucket, key).size)


def list_keys(caller: Caller, bucket: str, prefix: str) -> list[str]:
    """See `Cloud.list_keys`."""
    backend = _backend(caller, bucket)
    try:
        found = backend.list_objects(backend.get_bucket(bucket), prefix, None, None, None)[0]
    except S3ClientError as error:
        raise _no_bucket(bucket) from error
    return sorted((key.name for key in found), key=str.encode)


def put_object(caller: Caller, bucket: str, key: str, value: tuple[Joined, str]) -> None:
    """Makes the object of its bytes and their MD5; nothing is copied. See `Cloud.put_object`."""
    backend = _backend(caller, bucket)
    try:
        backend.put_object(bucket, key, cast(bytes, value[0]), etag=value[1])
    except S3ClientError as error:
        raise _no_bucket(bucket) from error


def delete_object(caller: Caller, bucket: str, key: str) -> None:
    """See `Cloud.delete_object`."""
    backend = _backend(caller, bucket)
    try:
        backend.delete_object(bucket, key)
    except S3ClientError as error:
        raise _no_bucket(bucket) from error


def owner_of(bucket: str) -> str | None:
    """The account that has the bucket, None where there is none."""
    place = s3_backends.bucket_accounts.get(bucket)
    return place[1] if place else None


def make_bucket(caller: Caller, bucket: str) -> bool:
    """Makes the bucket in the caller's region; False where there is one of that name, whoever has it.

    Raises AwsError for a name that S3 refuses.
    """
    if owner_of(bucket) is not None:
        return False
    try:
        s3_backends[caller.account][get_partition(caller.region)].create_bucket(bucket, caller.region)
    except S3ClientError as error:
        raise AwsError(400, "InvalidBucketName", f"The specified bucket is not valid: {bucket!r}") from error
    return True


def _find(caller: Caller, bucket: str, key: str) -> Any:
    backend = _backend(caller, bucket)
    try:
        found = backend.get_object(bucket, key)
    except S3ClientError as error:
        raise _no_bucket(bucket) from error
    if not isinstance(found, FakeKey):  # a delete marker is not a key
        raise AwsError(404, "NoSuchKey", "The specified key does not exist.", {"Key": key})
    return found


def _backend(caller: Caller, bucket: str) -> Any:
    if owner_of(bucket) not in (None, caller.account):
        raise AwsError(403, "AccessDenied", "Access Denied", {"BucketName": bucket})
    return s3_backends[caller.account][get_partition(caller.region)]


def _no_bucket(bucket: str) -> AwsError:
    return AwsError(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": bucket})


def _reader(key: Any) -> BinaryIO:
    if key.size <= MEMORY_BYTES:
        return io.BytesIO(key.value)
    with key.lock:
        key._value_buffer.flush()
        # A descriptor of our own outlives moto's, which is closed when the object is overwritten.
        descriptor = os.dup(key._value_buffer.fileno())
    return cast(BinaryIO, io.BufferedReader(_At(descriptor), CHUNK))


class _At(io.RawIOBase):
    """A file read by position, since duplicated descriptors share theirs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: os.fstat(self._descriptor).st_size,
        }
        self._position = starts[whence] + offset
        return self._position

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Joined:
    """Bytes of several sources, one after the other, in a file."""

    def __init__(self, sources: Iterable[BinaryIO]) -> None:
        self.file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - it becomes the object's
        for source in sources:
            shutil.copyfileobj(source, self.file, CHUNK)

    def md5(self) -> str:
        """The ETag of an object that was put in one piece, in hexadecimal."""
        self.file.seek(0)
        return hashlib.file_digest(self.file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _store(key: Any, value: bytes | Joined) -> None:
    if isinstance(value, Joined):
        key._value_buffer.close()
        key._value_buffer = value.file
    else:
        key._value_buffer.seek(0)
        key._value_buffer.truncate()
        for chunk in _slices(value):
            key._value_buffer.write(chunk)
    key.contentsize = key._value_buffer.tell()


def _slices(value: bytes | str) -> Iterator[memoryview]:
    view = memoryview(value.encode() if isinstance(value, str) else value)
    for at in range(0, len(view), CHUNK):
        yield view[at : at + CHUNK]


def _complete(upload: Any, body: Iterable[tuple[int, str]]) -> tuple[Joined, str, Any]:
    """Checks the parts as S3 does and joins them now: moto drops them before it stores the object."""
    parts = [_part(upload, number, etag) for number, etag in body]
    if not parts:
        raise MalformedXML()
    if any(part.contentsize < S3_UPLOAD_PART_MIN_SIZE for part in parts[:-1]):
        raise EntityTooSmall()
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    return Joined(_opened(parts)), etag, _checksum(upload, parts)


def _opened(parts: list[Any]) -> Iterator[BinaryIO]:
    for part in parts:
        with _reader(part) as reader:
            yield reader


def _part(upload: Any, number: int, etag: str) -> Any:
    part = upload.parts.get(number)
    if part is None or part.etag.strip('"') != etag.strip('"'):
        raise InvalidPart()
    return part


def _checksum(upload: Any, parts: list[Any]) -> Any:
    algorithm = upload.metadata.get("x-amz-checksum-algorithm")
    builder = MultipartChecksumBuilder(algorithm, upload.metadata.get("x-amz-checksum-type"))
    if not algorithm or builder.checksum_type != "COMPOSITE":
        return None  # one over the whole object would need it whole in memory, as moto does it
    for part in parts:
        builder.addPart(part.value)
    return builder.build()
