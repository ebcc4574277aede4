"""What is there of a deployment in an AWS account: read, never written.

A name that matches is not enough: what SageMaker holds is ours only with the tag slipway:deployment=<name>.
Archives lie in a bucket of the user's own, under names that nothing else has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy.config import Config
from deploy.plan import Key, Resource, Seen, is_version_of
from deploy.releasing.naming import CANDIDATE, candidate_name, named

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

OWNER_TAG, SERVED_TAG = "slipway:deployment", "slipway:served"
STUCK = (
    "endpoint {name!r} is UpdateRollbackFailed: it serves a mix of two versions and SageMaker takes no "
    "further one. Ask AWS support to mend it, or `destroy` and deploy again: it answers nothing in between"
)


def archive_key(name: str, digest: str) -> str:
    return f"{name}/{digest[:12]}/model.tar.gz"


def is_archive(name: str, key: str) -> bool:
    return re.fullmatch(re.escape(name) + r"/[0-9a-f]{12}/model\.tar\.gz", key) is not None


def is_uploaded(name: str, key: str) -> bool:
    """Whether a verb puts files under this key: archives, and what jobs read."""
    return is_archive(name, key) or key.startswith((f"{name}/training/", f"{name}/batch/"))


def log_group(name: str) -> str:
    # Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    return f"/aws/sagemaker/Endpoints/{name}"


def archives(s3: S3Client, config: Config) -> list[Resource]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=config.aws.bucket, ExpectedBucketOwner=config.aws.account, Prefix=f"{config.name}/"
    )
    with suppress(s3.exceptions.NoSuchBucket):
        objects = [item for page in pages for item in page.get("Contents", [])]
        ours = [item for item in objects if is_archive(config.name, item["Key"])]
        return [Resource("archive", o["Key"], seen=Seen(in_utc(o["LastModified"]))) for o in ours]
    return []


def models(sagemaker: SageMakerClient, config: Config) -> list[Resource]:
    def read(item: Any) -> Resource:
        return Resource(
            "model",
            item["ModelName"],
            needs=_archive_of(sagemaker, config, item["ModelName"]),
            seen=_seen(sagemaker, config, item["ModelArn"], item["CreationTime"]),
        )

    pages = sagemaker.get_paginator("list_models").paginate(NameContains=f"{config.name}-")
    items = [item for page in pages for item in page["Models"]]
    return _there(read, [item for item in items if is_version_of(config.name, item["ModelName"])])


def _there(read: Callable[[Any], Resource], listed: Iterable[Any]) -> list[Resource]:
    """A resource for each that is listed, but for those that were deleted since: a listing may be old."""
    found = []
    for item in listed:
        try:
            found.append(read(item))
        except ClientError as error:
            if not is_absent(error.response):
                raise
    return found


def _archive_of(sagemaker: SageMakerClient, config: Config, model: str) -> tuple[Key, ...]:
    container = sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
    bucket, _, key = container.get("ModelDataUrl", "").removeprefix("s3://").partition("/")
    return (("archive", key),) if bucket == config.aws.bucket else ()


def endpoint_configs(sagemaker: SageMakerClient, config: Config) -> list[Resource]:
    def read(item: Any) -> Resource:
        return Resource(
            "endpoint_config",
            item["EndpointConfigName"],
            needs=_models_of(sagemaker, item["EndpointConfigName"]),
            seen=_seen(sagemaker, config, item["EndpointConfigArn"], item["CreationTime"]),
        )

    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{config.name}-")
    items = [item for page in pages for item in page["EndpointConfigs"]]
    return _there(read, [item for item in items if is_version_of(config.name, item["EndpointConfigName"])])


def _models_of(sagemaker: SageMakerClient, version: str) -> tuple[Key, ...]:
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=version)["ProductionVariants"]
    return tuple(("model", variant["ModelName"]) for variant in variants if "ModelName" in variant)


def endpoint(sagemaker: SageMakerClient, config: Config) -> list[Resource]:
    """The endpoint of this name, ours or not; an empty list if there is none."""
    return _endpoint(sagemaker, config, Resource("endpoint", config.name))


def candidate(sagemaker: SageMakerClient, config: Config) -> list[Resource]:
    """The endpoint beside it, ours or a deployment's of that name; none but while one is asked, or left."""
    return _endpoint(sagemaker, config, Resource(CANDIDATE, candidate_name(config.name)))


def _endpoint(sagemaker: SageMakerClient, config: Config, wanted: Resource) -> list[Resource]:
    def read(described: Any) -> Resource:
        status = described["EndpointStatus"]
        seen = Seen(
            in_utc(described["CreationTime"]),
            ours=tags(sagemaker, described["EndpointArn"]).get(OWNER_TAG) == config.name,
            broken=status == "Failed",
            stuck=STUCK.format(name=wanted.name) if status == "UpdateRollbackFailed" else "",
        )
        version = described.get("EndpointConfigName", "")
        return replace(wanted, version=version, needs=(("endpoint_config", version),), seen=seen)

    described = describe(sagemaker, named(config, wanted.name))
    return _there(read, [described] if described else [])


def describe(sagemaker: SageMakerClient, config: Config) -> dict[str, Any]:
    """DescribeEndpoint's answer; empty if there is no such endpoint."""
    try:
        return dict(sagemaker.describe_endpoint(EndpointName=config.name))
    except ClientError as error:
        if is_absent(error.response):
            return {}
        raise


def is_absent(response: Any) -> bool:
    # SageMaker says ValidationException to everything; only its words tell that something is not there.
    return "could not find" in response["Error"].get("Message", "").lower()


def _seen(sagemaker: SageMakerClient, config: Config, arn: str, created: datetime) -> Seen:
    found = tags(sagemaker, arn)
    return Seen(in_utc(created), found.get(SERVED_TAG, ""), ours=found.get(OWNER_TAG) == config.name)


def tags(sagemaker: SageMakerClient, arn: str) -> dict[str, str]:
    """The tags of a thing that SageMaker holds."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def log_groups(logs: CloudWatchLogsClient, config: Config, ours: bool) -> list[Resource]:
    """The endpoint's log group. It carries no tag: whether it is `ours` goes by the endpoint of that name."""
    name = log_group(config.name)
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    groups = [group for page in pages for group in page["logGroups"]]
    return [Resource("log_group", name, seen=Seen(ours=ours)) for g in groups if g["logGroupName"] == name]


def uploads(s3: S3Client, config: Config) -> list[Resource]:
    """Uploads that were cut off: they are billed, and a listing of the bucket does not show them."""
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=config.aws.bucket, ExpectedBucketOwner=config.aws.account, Prefix=f"{config.name}/"
    )
    with suppress(s3.exceptions.NoSuchBucket):
        items = [item for page in pages for item in page.get("Uploads", [])]
        ours = [item for item in items if is_uploaded(config.name, item["Key"])]
        return [Resource("upload", item["Key"], version=item["UploadId"]) for item in ours]
    return []


def in_utc(moment: datetime) -> str:
    """A moment as text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
