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
    accounts,
    alarms,
    asynchronous,
    clients,
    cloudwatch,
    examples,
    inventory,
    predictions,
    registry,
    retention,
    scaling,
    schedules,
    storage,
    tagging,
    trainings,
    transforms,
    updates,
    variants,
    waiting,
)
from deploy.aws.clients import told, unless
from deploy.config import DIGEST_ENTRY, Config, container_environment
from deploy.plan import Change, Resource, versioned
from deploy.releasing.naming import CANDIDATE, candidate_name, named
from deploy.target import (
    Answer,
    CloudError,
    Event,
    Heard,
    Part,
    Refused,
    Request,
    Say,
    Watch,
    ignored,
    unwatched,
)

if TYPE_CHECKING:
    from deploy.package import Archive

# What an endpoint needs besides its version, and what stands upon it; each in the order of making.
BENEATH: tuple[Part, ...] = (alarms, schedules, retention)
UPON: tuple[Part, ...] = (scaling,)
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
        "ExtraArgs": {"ExpectedBucketOwner": aws.account, "Tagging": tagging.as_header(config)},
    }
    container = {
        "Image": aws.image,
        "ModelDataUrl": f"s3://{aws.bucket}/{key}",
        "Environment": container_environment(config) | {DIGEST_ENTRY: archive.digest},
    }
    served = {"PrimaryContainer": container, "ExecutionRoleArn": aws.role}
    model = versioned(config.name, served)
    serving = variants.serving(config, model)
    version = versioned(config.name, serving)
    tags = tagging.listed(config)
    return [
        Resource("archive", key, params=upload),
        Resource("model", model, params={"ModelName": model, **served, "Tags": tags}),
        Resource("endpoint_config", version, params={"EndpointConfigName": version, **serving, "Tags": tags}),
        *in_service(config, version),
    ]


def in_service(config: Config, version: str, guarded: bool = True) -> list[Resource]:
    """The endpoint that serves this version, between what it needs besides and what stands upon it.

    Where it is not `guarded`, the version takes all traffic at once, whatever deploy.toml says.
    """
    beneath, upon = ([r for part in parts for r in part.desired(config)] for parts in (BENEATH, UPON))
    moved = {**_named(config, config.name, version), **updates.members(config, guarded)}
    return [*beneath, Resource("endpoint", config.name, version, params=moved), *upon]


def candidate(config: Config, version: str) -> Resource:
    """An endpoint beside that of the deployment, on which this version is asked before it takes traffic."""
    name = candidate_name(config.name)
    return Resource(CANDIDATE, name, version, params=_named(config, name, version))


def _named(config: Config, name: str, version: str) -> dict[str, Any]:
    return {"EndpointName": name, "EndpointConfigName": version, "Tags": tagging.listed(config)}


def example(config: Config, request: Request) -> str:
    """Lines of Python that post the request through boto3 and print the answer."""
    return examples.program(config, request)


def check(config: Config) -> None:
    """Fail now if credentials, account, bucket or region are wrong: nothing has been written yet."""
    accounts.check(config)
    storage.reachable(config, config.aws.bucket, f"deploy.toml: [aws]: bucket {config.aws.bucket!r}")
    registry.check(config)


@told()
def observed(config: Config) -> list[Resource]:
    """The kit's image, archives, models, configurations, the endpoint and its parts, as in `desired`."""
    sagemaker = clients.sagemaker(config.aws.region)
    beneath, upon = ([r for part in parts for r in part.observed(config)] for parts in (BENEATH, UPON))
    return [
        *registry.observed(config),
        *inventory.archives(clients.s3(config.aws.region), config),
        *inventory.models(sagemaker, config),
        *inventory.endpoint_configs(sagemaker, config),
        *beneath,
        *inventory.candidate(sagemaker, config),
        *inventory.endpoint(sagemaker, config),
        *upon,
    ]


@told()
def traces(config: Config) -> list[Resource]:
    """The log group, which SageMaker may have made, uploads that were cut off, and all that jobs left."""
    endpoint = inventory.endpoint(clients.sagemaker(config.aws.region), config)
    ours = all(resource.seen.ours for resource in endpoint)
    return [
        *inventory.log_groups(clients.logs(config.aws.region), config, ours),
        *retention.left(config),
        *inventory.uploads(clients.s3(config.aws.region), config),
        *trainings.traces(config),
        *transforms.traces(config),
        *asynchronous.traces(config),
    ]


@told()
def settle(config: Config, say: Say) -> None:
    """Return once neither the endpoint nor its candidate is changing, whatever their states are then."""
    sagemaker = clients.sagemaker(config.aws.region)
    for name in (config.name, candidate_name(config.name)):
        waiting.settled(sagemaker, named(config, name), say)


def apply(config: Config, change: Change, say: Say, watch: Watch = unwatched) -> None:
    """Make one change and return when it has happened; SageMaker watches the endpoint by its alarms.

    Raises Refused if nothing was changed, NotServed if the endpoint settled on something else.
    """
    if change.resource.kind in {"endpoint", CANDIDATE}:
        _move(config, change, say)
    elif change.action == "delete":
        _delete(config, change.resource)
    else:
        _create(config, change.resource, say)


def _move(config: Config, change: Change, say: Say) -> None:
    sagemaker, itself = clients.sagemaker(config.aws.region), named(config, change.resource.name)
    with told(Refused):
        since = waiting.begin(sagemaker, itself, change)
    # From here on SageMaker is at it: an error is not one of a change that was not made.
    with told():
        if change.resource.kind == CANDIDATE and change.action == "create":
            retention.beside(config, itself.name, say)
        described = waiting.see_through(sagemaker, itself, change, say)
        well = change.action == "delete" or waiting.serves(described, change)
        off = [] if well else alarms.went_off(config, change.resource.params)
    waiting.verify(described, change, since, off)
    if change.resource.kind == CANDIDATE and change.action == "delete":
        with told():
            _forget_log(itself)


def _forget_log(config: Config) -> None:
    """Delete what the endpoint's containers printed: SageMaker keeps it, whatever becomes of the endpoint."""
    with unless(_is_gone):
        clients.logs(config.aws.region).delete_log_group(logGroupName=inventory.log_group(config.name))


@told(Refused)
def _create(config: Config, resource: Resource, say: Say) -> None:
    if resource.kind in PARTS:
        PARTS[resource.kind].make(config, resource, say)
    elif resource.kind == registry.KIND:
        registry.make(config, resource, say)
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
        elif resource.kind == asynchronous.FILES:
            asynchronous.remove(config, resource)
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
    facts = {
        "endpoint": described["EndpointName"],
        "region": config.aws.region,
        "state": described["EndpointStatus"],
        "version": described.get("EndpointConfigName", ""),
        "instances": variants.told(described),
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
