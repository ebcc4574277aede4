"""The lock of a deployment: an object of its bucket, written under S3's conditions.

Source: docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients
from deploy.aws.clients import told
from deploy.config import Config

# The condition does not hold; or another write was under way at the same time.
_LOST = {"PreconditionFailed", "ConditionalRequestConflict"}


@told()
def read(config: Config) -> tuple[bytes, str] | None:
    """What the lock holds, and its ETag; None where there is no lock."""
    s3 = clients.s3(config.aws.region)
    try:
        answer = s3.get_object(**_place(config))
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None
    return answer["Body"].read(), answer["ETag"]


@told()
def write(config: Config, body: bytes, over: str) -> str | None:
    """Make the lock over that ETag, or "" for none; its own ETag then, None where another was quicker.

    "" where there is no bucket.
    """
    condition: dict[str, Any] = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
    s3 = clients.s3(config.aws.region)
    try:
        return s3.put_object(**_place(config), Body=body, **condition)["ETag"]
    except s3.exceptions.NoSuchBucket:
        return ""
    except ClientError as error:
        if error.response["Error"].get("Code") in _LOST | ({"NoSuchKey"} if over else set()):
            return None
        raise


@told()
def remove(config: Config) -> None:
    """Delete the lock."""
    clients.s3(config.aws.region).delete_object(**_place(config))


def _place(config: Config) -> dict[str, Any]:
    owner = {"Bucket": config.aws.bucket, "ExpectedBucketOwner": config.aws.account}
    return {**owner, "Key": f"{config.name}/lock.json"}
