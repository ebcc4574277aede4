"""AWS::S3::Bucket and AWS::S3::BucketPolicy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Failed, Kind, Properties, nothing

# A bucket's settings: the property, the call that puts it and the one that takes it away.
_SETTINGS = {
    "BucketEncryption": ("put_bucket_encryption", "delete_bucket_encryption"),
    "LifecycleConfiguration": ("put_bucket_lifecycle_configuration", "delete_bucket_lifecycle"),
    "OwnershipControls": ("put_bucket_ownership_controls", "delete_bucket_ownership_controls"),
    "PublicAccessBlockConfiguration": ("put_public_access_block", "delete_public_access_block"),
    "Tags": ("put_bucket_tagging", "delete_bucket_tagging"),
    "VersioningConfiguration": ("put_bucket_versioning", ""),
}


def _create(account: Account, name: str, properties: Properties) -> None:
    client, region = account.client("s3"), account.caller.region
    if _is_there(account, name):
        raise Failed(f"{name} already exists")
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    client.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))


def _is_there(account: Account, name: str) -> bool:
    try:
        account.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] != 404)
    return True


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    client = account.client("s3")
    for setting, (put, delete) in _SETTINGS.items():
        if setting in new:
            getattr(client, put)(Bucket=name, **_as_asked(setting, new[setting]))
        elif setting in old and delete:
            getattr(client, delete)(Bucket=name)
        elif setting in old:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})


def _as_asked(setting: str, value: Any) -> dict[str, Any]:
    """The property as the call's parameter."""
    shaped: dict[str, Callable[[Any], dict[str, Any]]] = {
        "BucketEncryption": _encryption,
        "LifecycleConfiguration": lambda said: {"Rules": [_rule(rule) for rule in said["Rules"]]},
        "Tags": lambda tags: {"TagSet": tags},
    }
    named = {"BucketEncryption": "ServerSideEncryptionConfiguration", "Tags": "Tagging"}
    return {named.get(setting, setting): shaped.get(setting, dict)(value)}


def _encryption(said: Any) -> dict[str, Any]:
    rules = said["ServerSideEncryptionConfiguration"]
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return {"Rules": [{renamed.get(key, key): value for key, value in rule.items()} for rule in rules]}


def _rule(said: Any) -> dict[str, Any]:
    rule = dict(said)
    expiration = {
        name: rule.pop(key)
        for key, name in (
            ("ExpirationInDays", "Days"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if key in rule
    }
    asked = {"ID": rule.pop("Id", ""), "Filter": {"Prefix": rule.pop("Prefix", "")}, **rule}
    return asked | ({"Expiration": expiration} if expiration else {})


def _delete(account: Account, name: str, properties: Properties) -> None:
    account.client("s3").delete_bucket(Bucket=name)


def _tells(account: Account, name: str, properties: Properties) -> dict[str, str]:
    return {"Ref": name, "Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"}


BUCKET = Kind(
    frozenset({"BucketName", *_SETTINGS}),
    "BucketName",
    frozenset({"BucketName"}),
    _create,
    _settle,
    _delete,
    _tells,
)


def _put_policy(account: Account, name: str, properties: Properties) -> None:
    document = json.dumps(properties["PolicyDocument"])
    account.client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=document)


def _settle_policy(account: Account, name: str, new: Properties, old: Properties) -> None:
    _put_policy(account, name, new) if old else nothing(account, name, new, old)


def _delete_policy(account: Account, name: str, properties: Properties) -> None:
    account.client("s3").delete_bucket_policy(Bucket=properties["Bucket"])


BUCKET_POLICY = Kind(
    frozenset({"Bucket", "PolicyDocument"}),
    "Bucket",
    frozenset({"Bucket"}),
    _put_policy,
    _settle_policy,
    _delete_policy,
    lambda account, name, properties: {"Ref": name},
)
