"""Objects in S3: listed, read, written and removed, in buckets of the role's account alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
from botocore.exceptions import ClientError

from deploy.aws import clients, errors, tagging
from deploy.aws.clients import told, unless
from deploy.batch.cloud import Stored
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.target import CloudError

if TYPE_CHECKING:
    from deploy.batch.counting import Readable

SCHEME = "s3"
AT_ONCE = 1000  # Source: the S3 API's DeleteObjects


@told()
def reachable(config: Config, bucket: str, place: str) -> None:
    """Raise CloudError, beginning with `place`, unless the bucket is there, is ours, and is in the region."""
    aws = config.aws
    try:
        answer = clients.s3(aws.region).head_bucket(Bucket=bucket, ExpectedBucketOwner=aws.account)
    except ClientError as error:
        if reason := errors.bucket(error.response["Error"]["Code"], aws.account):
            raise CloudError(f"{place} {reason}") from error
        raise
    region = answer.get("BucketRegion", aws.region)
    if region != aws.region:
        raise CloudError(f"{place} is in {region}, expected one in {aws.region}: SageMaker reads no other")


@told()
def found(config: Config, place: Remote) -> Stored | None:
    """The object of exactly this key."""
    answer = clients.s3(config.aws.region).list_objects_v2(
        **_owned(config, place), Prefix=place.key, MaxKeys=1
    )
    # Of all keys that begin with it, the key itself is the first.
    return next((_stored(one) for one in answer.get("Contents", []) if one["Key"] == place.key), None)


@told()
def listed(config: Config, place: Remote) -> list[Stored]:
    """All objects whose keys begin with the place's, in the order of their keys."""
    return _listed(config, place)


@told()
def left(config: Config, place: Remote) -> list[Stored]:
    """The same of a bucket that may be gone, and nothing is left of what was there."""
    with unless(lambda response: response["Error"].get("Code") == "NoSuchBucket"):
        return _listed(config, place)
    return []


def _listed(config: Config, place: Remote) -> list[Stored]:
    pages = clients.s3(config.aws.region).get_paginator("list_objects_v2")
    found = pages.paginate(**_owned(config, place), Prefix=place.key)
    return [_stored(one) for page in found for one in page.get("Contents", [])]


@contextmanager
def opened(config: Config, place: Remote, start: int = 0) -> Iterator[Readable]:
    """The object's bytes from `start` on. A connection that breaks is a CloudError, too."""
    part: Any = {"Range": f"bytes={start}-"} if start else {}
    with told():
        s3 = clients.s3(config.aws.region)
        body = s3.get_object(**_owned(config, place), Key=place.key, **part)["Body"]
        with body:
            yield body


@told()
def upload(config: Config, files: Sequence[tuple[Path, Remote]], sent: Callable[[int], None]) -> None:
    """Make each file an object, which is there whole or not at all; `sent` takes bytes as they go."""
    watch, owner = [ProgressCallbackInvoker(sent)], {"ExpectedBucketOwner": config.aws.account}
    # boto3's own transfers: several files at once, and Ctrl-C gives up those under way.
    with create_transfer_manager(clients.s3(config.aws.region), TransferConfig()) as transfers:
        uploads = [
            transfers.upload(str(path), place.bucket, place.key, owner | _tagged(config, place), watch)
            for path, place in files
        ]
        for one in uploads:
            one.result()


@told()
def put(config: Config, place: Remote, body: bytes) -> None:
    """Make a small object of these bytes."""
    how = _owned(config, place) | _tagged(config, place)
    clients.s3(config.aws.region).put_object(**how, Key=place.key, Body=body)


@told()
def remove(config: Config, places: Sequence[Remote]) -> None:
    """Delete these objects, which lie in one bucket; one that is not there is no error."""
    s3 = clients.s3(config.aws.region)
    for at in range(0, len(places), AT_ONCE):
        part = places[at : at + AT_ONCE]
        objects: Any = [{"Key": place.key} for place in part]
        answer = s3.delete_objects(**_owned(config, part[0]), Delete={"Objects": objects, "Quiet": True})
        if failed := answer.get("Errors"):
            raise CloudError(f"{failed[0].get('Key')} could not be deleted: {failed[0].get('Message')}")


def _owned(config: Config, place: Remote) -> dict[str, Any]:
    return {"Bucket": place.bucket, "ExpectedBucketOwner": config.aws.account}


def _tagged(config: Config, place: Remote) -> dict[str, Any]:
    """The deployment's tags, in its own bucket: in others, whoever may write may not be allowed to tag."""
    return {"Tagging": tagging.as_header(config)} if place.bucket == config.aws.bucket else {}


def _stored(one: Any) -> Stored:
    return Stored(one["Key"], one["Size"], one["ETag"].strip('"'), one["LastModified"])
