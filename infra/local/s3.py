"""What moto's S3 leaves out: whose bucket it is, and large objects streamed.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import urllib.parse
from dataclasses import dataclass
from typing import BinaryIO

from infra.local import objects
from infra.local.asgi import Scope, Send, header
from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.records import Reply

# What a GetObject's query may have when it asks for no part and no other form: two kinds of presigned URL.
_SIGNED = ("x-id", "AWSAccessKeyId", "Signature", "Expires")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/")


@dataclass(frozen=True)
class Target:
    """The bucket and the key that a request is about, "" for none."""

    bucket: str
    key: str = ""


def target_of(path: str) -> Target:
    """What a path-style path (percent-encoded) names."""
    bucket, _, key = urllib.parse.unquote(path).removeprefix("/").partition("/")
    return Target(bucket, key)


def check_owners(scope: Scope, target: Target) -> None:
    """Raises AwsError AccessDenied where a bucket is not of the account that the caller expects."""
    _check_owner(target.bucket, header(scope, b"x-amz-expected-bucket-owner"))
    source = header(scope, b"x-amz-copy-source")
    _check_owner(target_of(source).bucket, header(scope, b"x-amz-source-expected-bucket-owner"))


def is_large_read(scope: Scope, caller: Caller, target: Target) -> bool:
    """Whether this is a plain GetObject of an object that is not for memory."""
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    plain = all(name in _SIGNED or name.startswith("X-Amz-") for name in query)
    if scope["method"] != "GET" or not target.key or not plain:
        return False
    with contextlib.suppress(AwsError):  # moto says why
        return objects.size_of(caller, target.bucket, target.key) > objects.MEMORY_BYTES
    return False


async def send_object(send: Send, head: Reply, body: BinaryIO) -> None:
    """Sends the object's bytes under the headers that moto gave to the same request as HEAD."""
    start, length = _extent(head)
    # A checksum of parts lacks its "-N" in moto's HEAD, and a client would hold it against the bytes.
    headers = [(n, v) for n, v in head.headers if not n.startswith(("x-amz-checksum-", "content-length"))]
    headers.append(("content-length", str(length)))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": head.status, "headers": raw})
    with body:
        body.seek(start)
        while length > 0 and (chunk := await asyncio.to_thread(body.read, min(objects.CHUNK, length))):
            length -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _check_owner(bucket: str, expected: str) -> None:
    owner = objects.owner_of(bucket)
    if expected and owner is not None and owner != expected:
        raise AwsError(403, "AccessDenied", "Access Denied", {"BucketName": bucket})


def _extent(head: Reply) -> tuple[int, int]:
    """The first byte and the count of bytes of an answer that is 200 or 206."""
    headers = dict(head.headers)
    if head.status == 206:
        match = _RANGE.match(headers["content-range"])
        assert match is not None
        first, last = int(match[1]), int(match[2])
        return first, last - first + 1
    return 0, int(headers["content-length"])
