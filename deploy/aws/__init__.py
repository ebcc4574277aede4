"""SageMaker: what we want there, and how to get there.

The only folder of deploy/ that imports boto3. Where the API is, botocore finds out by itself, so nothing here
knows. Every S3 call names the account that must own the bucket: a bucket's name alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.aws import (
    clients,
    cloudwatch,
    examples,
    inventory,
    predictions,
    storage,
    trainings,
    transforms,
    waiting,
)
from deploy.aws.clients import told, unless
from deploy.aws.inventory import OWNER_TAG
from deploy.config import DIGEST_ENTRY, Config, container_environment
from deploy.plan import Change, Resource, versioned
from deploy.target import Answer, CloudError, Event, Heard, Part, Refused, Request, Say, ignored

if TYPE_CHECKING:
    from deploy.package import Archive

# What an endpoint needs besides its version, and what stands upon it; each in the order of making.
BENEATH: tuple[Part, ...] = ()
UPON: tuple[Part, ...] = ()
PARTS = {part.KIND: part for part in (*BENEATH, *UPON)}
IDENTITY = {"model": "ModelName", "endpoint_config": "EndpointConfigName"}


def desired(config: Config, archive: Archive) -> list[Resource]:
    """The archive, its model, that model's endpoint configuration and the endpoint. Reads nothing."""
    aws = config.aws
    key = inventory.archive_key(config.name, archive.digest)
    upload = {
        "Filename": str(archive.path),
        "Bucket": aws.bucket,
        "Key": key,
        "ExtraArgs": {"ExpectedBucketOwner": aws.account},
    }
    container = {
        "Image": aws.image,
        "ModelDataUrl": f"s3://{aws.bucket}/{key}",
        "Environment": container_environment(config) | {DIGEST_ENTRY: archive.digest},
    }
    served = {"PrimaryContainer": container, "ExecutionRoleArn": aws.role}
    model = versioned(config.name, served)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": aws.instance_type,
        "InitialInstanceCount": aws.instance_count,
    }
    serving = {"ProductionVariants": [variant]}
    version = versioned(config.name, serving)
    tags = _tags(config)
    return [
        Resource("archive", key, params=upload),
        Resource("model", model, params={"ModelName": model, **served, "Tags": tags}),
        Resource("endpoint_config", version, params={"EndpointConfigName": version, **serving, "Tags": tags}),
        *in_service(config, version),
    ]


def in_service(config: Config, version: str) -> list[Resource]:
    """The endpoint that serves this version, between what it needs besides and what stands upon it."""
    beneath, upon = ([r for part in parts for r in part.desired(config)] for parts in (BENEATH, UPON))
    params = {"EndpointName": config.name, "EndpointConfigName": version, "Tags": _tags(config)}
    return [*beneath, Resource("endpoint", config.name, version, params=params), *upon]


def _tags(config: Config) -> list[dict[str, str]]:
    return [{"Key": OWNER_TAG, "Value": config.name}]


def example(config: Config, request: Request) -> str:
    """Lines of Python that post the request through boto3 and print the answer."""
    return examples.program(config, request)


def check(config: Config) -> None:
    """Fail now if credentials, bucket or region are wrong: nothing has been written yet."""
    storage.reachable(config, config.aws.bucket, f"deploy.toml: [aws]: bucket {config.aws.bucket!r}")


@told()
def observed(config: Config) -> list[Resource]:
    """Archives, models, endpoint configurations, the endpoint and its parts, in the order of `desired`."""
    sagemaker = clients.sagemaker(config.aws.region)
    beneath, upon = ([r for part in parts for r in part.observed(config)] for parts in (BENEATH, UPON))
    return [
        *inventory.archives(clients.s3(config.aws.region), config),
        *inventory.models(sagemaker, config),
        *inventory.endpoint_configs(sagemaker, config),
        *beneath,
        *inventory.endpoint(sagemaker, config),
        *upon,
    ]


@told()
def traces(config: Config) -> list[Resource]:
    """The log group, which SageMaker made, uploads that were cut off, and all that jobs left."""
    endpoint = inventory.endpoint(clients.sagemaker(config.aws.region), config)
    ours = all(resource.seen.ours for resource in endpoint)
    return [
        *inventory.log_groups(clients.logs(config.aws.region), config, ours),
        *inventory.uploads(clients.s3(config.aws.region), config),
        *trainings.traces(config),
        *transforms.traces(config),
    ]


@told()
def settle(config: Config, say: Say) -> None:
    """Return once the endpoint is not changing, whatever its state is then."""
    waiting.settled(clients.sagemaker(config.aws.region), config, say)


def apply(config: Config, change: Change, say: Say) -> None:
    """Make one change and return when it has happened.

    Raises Refused if nothing was changed, NotServed if the endpoint settled on something else.
    """
    if change.resource.kind == "endpoint":
        _move(config, change, say)
    elif change.action == "delete":
        _delete(config, change.resource)
    else:
        _create(config, change.resource, say)


def _move(config: Config, change: Change, say: Say) -> None:
    sagemaker = clients.sagemaker(config.aws.region)
    with told(Refused):
        since = waiting.begin(sagemaker, config, change)
    # From here on SageMaker is at it: an error is not one of a change that was not made.
    with told():
        described = waiting.see_through(sagemaker, config, change, say)
    waiting.verify(described, change, since)


@told(Refused)
def _create(config: Config, resource: Resource, say: Say) -> None:
    if resource.kind in PARTS:
        PARTS[resource.kind].make(config, resource, say)
    elif resource.kind == "archive":
        _upload(config, resource, say)
    else:
        create = getattr(clients.sagemaker(config.aws.region), f"create_{resource.kind}")
        # A name carries the digest of its parameters: what is there already is what we want.
        with unless(_is_there):
            create(**resource.params)


def _upload(config: Config, resource: Resource, say: Say) -> None:
    size, sent = max(1, Path(resource.params["Filename"]).stat().st_size), 0

    def count(transferred: int) -> None:
        nonlocal sent
        sent += transferred
        say(f"{sent / size:.0%} of {size / 1e6:,.1f} MB")

    clients.s3(config.aws.region).upload_file(**resource.params, Callback=count)


@told(Refused)
def _delete(config: Config, resource: Resource) -> None:
    s3, bucket = clients.s3(config.aws.region), _bucket(config)
    with unless(_is_gone):
        if resource.kind in PARTS:
            PARTS[resource.kind].remove(config, resource)
        elif resource.kind == "archive":
            s3.delete_object(**bucket, Key=resource.name)
        elif resource.kind == "upload":
            s3.abort_multipart_upload(**bucket, Key=resource.name, UploadId=resource.version)
        elif resource.kind in trainings.LEFT:
            trainings.remove(config, resource)
        elif resource.kind in transforms.LEFT:
            transforms.remove(config, resource)
        elif resource.kind == "log_group":
            clients.logs(config.aws.region).delete_log_group(logGroupName=resource.name)
        else:
            delete = getattr(clients.sagemaker(config.aws.region), f"delete_{resource.kind}")
            delete(**{IDENTITY[resource.kind]: resource.name})


def _bucket(config: Config) -> dict[str, Any]:
    return {"Bucket": config.aws.bucket, "ExpectedBucketOwner": config.aws.account}


def _is_there(response: Mapping[str, Any]) -> bool:
    return "already exist" in response["Error"].get("Message", "")


def _is_gone(response: Mapping[str, Any]) -> bool:
    gone = {"NoSuchUpload", "NoSuchBucket", "ResourceNotFoundException"}
    return response["Error"].get("Code") in gone or inventory.is_absent(response)


@told()
def invoke(config: Config, request: Request, heard: Heard = ignored) -> Answer:
    """The endpoint's answer; CloudError with the container's own words if it is none."""
    return predictions.predict(config, request, heard)


def caller(config: Config) -> Callable[[Request], Answer]:
    """`invoke`, for many requests: its one call needs nothing looked up."""
    return partial(invoke, config)


@told()
def status(config: Config) -> dict[str, str]:
    """What the endpoint is and does; empty if there is none."""
    sagemaker = clients.sagemaker(config.aws.region)
    described = inventory.describe(sagemaker, config)
    if not described:
        return {}
    variants = described.get("ProductionVariants", [])
    instances = ", ".join(
        f"{v.get('CurrentInstanceCount', '?')} of {v.get('DesiredInstanceCount', '?')}" for v in variants
    )
    facts = {
        "endpoint": described["EndpointName"],
        "region": config.aws.region,
        "state": described["EndpointStatus"],
        "version": described.get("EndpointConfigName", ""),
        "instances": instances,
        "changed": inventory.in_utc(described["LastModifiedTime"]),
        "failure": described.get("FailureReason", ""),
    }
    return {name: fact for name, fact in facts.items() if fact}


@told()
def logs(config: Config, since: datetime) -> list[Event]:
    """What the containers printed from `since` on, in the order of time."""
    client, group = clients.logs(config.aws.region), inventory.log_group(config.name)
    try:
        return cloudwatch.events(client, group, since)
    except client.exceptions.ResourceNotFoundException as error:
        raise CloudError(f"there is no log group {group}: no container has been started under it") from error


@told()
def logs_of_new(config: Config, since: datetime) -> list[Event]:
    """The same of those containers alone that were started from `since` on; empty if there is none."""
    client, group = clients.logs(config.aws.region), inventory.log_group(config.name)
    with unless(_is_gone):
        if streams := cloudwatch.streams_from(client, group, since):
            return cloudwatch.events(client, group, since, streams)
    return []
