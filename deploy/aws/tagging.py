"""The tags of everything that is made: whose deployment it is, who pays for it, and when it ends.

A name carries no digest of them, so that none of them makes another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from deploy.aws import clients, inventory
from deploy.aws.inventory import OWNER_TAG
from deploy.config import Config

PAYER_TAG, EXPIRES_TAG = "slipway:owner", "slipway:expires"
_WORDS = {"model": "Model", "endpoint_config": "EndpointConfig", "endpoint": "Endpoint"}


def of(config: Config) -> dict[str, str]:
    """The tags by their keys; the moment of expiry is ISO 8601 in UTC."""
    found = {OWNER_TAG: config.name, PAYER_TAG: config.owner, EXPIRES_TAG: expiry(config)}
    return {key: value for key, value in found.items() if value}


def expiry(config: Config) -> str:
    """The moment as a tag and the plan have it; empty if there is none."""
    return f"{config.expires:%Y-%m-%dT%H:%M:%SZ}" if config.expires else ""


def listed(config: Config, **more: str) -> list[dict[str, str]]:
    """The same as most of AWS's requests have them, with `more` of a thing's own behind."""
    return [{"Key": key, "Value": value} for key, value in {**of(config), **more}.items()]


def as_header(config: Config) -> str:
    """The same as S3 has them. Source: the S3 API's x-amz-tagging."""
    return urlencode(of(config))


def renew(config: Config) -> None:
    """Give all of the deployment that is there this configuration's moment of expiry, or take theirs away."""
    sagemaker = clients.sagemaker(config.aws.region)
    for arn in _arns(sagemaker, config):
        if config.expires:
            sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": EXPIRES_TAG, "Value": expiry(config)}])
        else:
            sagemaker.delete_tags(ResourceArn=arn, TagKeys=[EXPIRES_TAG])
    s3: Any = clients.s3(config.aws.region)  # its stubs take no tags but their own
    for archive in inventory.archives(s3, config):
        s3.put_object_tagging(
            Bucket=config.aws.bucket,
            Key=archive.name,
            ExpectedBucketOwner=config.aws.account,
            Tagging={"TagSet": listed(config)},
        )


def _arns(sagemaker: Any, config: Config) -> Iterator[str]:
    """Of the endpoint, the configurations and the models that are ours."""
    there = (
        *inventory.models(sagemaker, config),
        *inventory.endpoint_configs(sagemaker, config),
        *inventory.endpoint(sagemaker, config),
    )
    for resource in there:
        if resource.seen.ours:
            word = _WORDS[resource.kind]
            described = getattr(sagemaker, f"describe_{resource.kind}")(**{f"{word}Name": resource.name})
            yield described[f"{word}Arn"]
