"""Transform jobs: what is asked of SageMaker, which jobs a run has had, and what they printed."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, cloudwatch, inventory, storage
from deploy.aws.clients import told
from deploy.aws.inventory import OWNER_TAG
from deploy.batch.cloud import Job
from deploy.batch.orders import MAX_PAYLOAD_MB, Order, is_job, job_name, job_number, stem
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.plan import Resource, Seen
from deploy.target import CloudError, Event

RUN_TAG = "slipway:batch"
GROUP = "/aws/sagemaker/TransformJobs"
MIB = 2**20
# Where a payload is larger than SageMaker's own 6 MB and nothing is said: 16 is what the container asks for.
CONCURRENT = 16


def run_place(config: Config, run: str) -> Remote:
    """Where a run's own objects lie: its staged input, its manifests, results on their way."""
    return Remote(
        storage.SCHEME, config.aws.bucket, f"{config.name}/batch/{run}/" if run else f"{config.name}/batch/"
    )


def request(config: Config, order: Order) -> dict[str, Any]:
    """CreateTransformJob's request. Reads nothing."""
    settings, by_lines = order.settings, order.kind.by_lines
    manifest = {"S3DataType": "ManifestFile", "S3Uri": str(_manifest(config, order))}
    wanted: dict[str, Any] = {
        "TransformJobName": job_name(config.name, order.run, order.number),
        "ModelName": order.model,
        "TransformInput": {
            "DataSource": {"S3DataSource": manifest},
            "ContentType": order.kind.content_type,
            "CompressionType": "Gzip" if order.kind.gzipped else "None",
            "SplitType": "Line" if by_lines else "None",
        },
        "TransformOutput": {
            "S3OutputPath": str(order.output).rstrip("/"),
            "Accept": order.accept,
            # The container ends its lines itself. No document says whether Line would then put another
            # newline; where answers are joined or filtered, it is required for CSV.
            "AssembleWith": "Line" if by_lines and _processing(order) else "None",
        },
        "TransformResources": {
            "InstanceType": settings.instance_type or config.aws.instance_type,
            "InstanceCount": settings.instance_count,
        },
        "Environment": _environment(order),
        "Tags": [{"Key": OWNER_TAG, "Value": config.name}, {"Key": RUN_TAG, "Value": order.run}],
    }
    return wanted | _limits(order) | _processing(order)


def _environment(order: Order) -> dict[str, str]:
    entries: dict[str, str] = {"SLIPWAY_BATCH_ON_ERROR": order.settings.on_error}
    if order.header:
        entries["SLIPWAY_BATCH_HEADER"] = order.header
    if order.settings.join == "input":
        entries["SLIPWAY_BATCH_JOIN"] = "input"
    return entries


def _limits(order: Order) -> dict[str, Any]:
    """What one request carries, how many go at once, and how long each may take: where something is said."""
    settings, limits = order.settings, dict[str, Any]()
    payload, concurrent = settings.max_payload_mb, settings.max_concurrent
    if order.kind.by_lines:
        limits["BatchStrategy"] = "MultiRecord"
    else:
        payload = max(payload or 1, -(-order.largest // MIB))
    if payload:
        # Source: the SageMaker API's CreateTransformJob: MaxConcurrentTransforms * MaxPayloadInMB <= 100.
        concurrent = min(concurrent or CONCURRENT, MAX_PAYLOAD_MB // payload)
        limits["MaxPayloadInMB"] = payload
    if concurrent:
        limits["MaxConcurrentTransforms"] = concurrent
    asked = {"InvocationsTimeoutInSeconds": settings.timeout_s, "InvocationsMaxRetries": settings.retries}
    if client := {key: value for key, value in asked.items() if value is not None}:
        limits["ModelClientConfig"] = client
    return limits


def _processing(order: Order) -> dict[str, Any]:
    settings = order.settings
    wanted = {
        "InputFilter": settings.input_filter,
        "OutputFilter": settings.output_filter,
        "JoinSource": "Input" if settings.join == "input" else "",
    }
    said = {key: value for key, value in wanted.items() if value}
    return {"DataProcessing": said} if said else {}


def _manifest(config: Config, order: Order) -> Remote:
    return run_place(config, order.run) / f"manifest-{order.number}.json"


@told()
def jobs(config: Config, run: str) -> list[Job]:
    """The jobs that this run has had, the first first. Raises CloudError where one is somebody else's."""
    sagemaker = clients.sagemaker(config.aws.region)
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(NameContains=run)
    names = [one["TransformJobName"] for page in pages for one in page["TransformJobSummaries"]]
    ours = [name for name in names if job_number(config.name, run, name)]
    return [_ours(config, name) for name in sorted(ours, key=lambda name: job_number(config.name, run, name))]


def _ours(config: Config, name: str) -> Job:
    if not _is_ours(config, name):
        raise CloudError(
            f"transform job {name!r} is there already and is not this deployment's: "
            "give deploy.toml another `name`"
        )
    return look(config, name)


@told()
def start(config: Config, order: Order) -> Job:
    """Start the job of this number on these files, or join the one that somebody else has started."""
    body = json.dumps([{"prefix": str(order.source)}, *order.names]).encode()
    storage.put(config, _manifest(config, order), body)
    try:
        clients.sagemaker(config.aws.region).create_transform_job(**request(config, order))
    except ClientError as error:
        code, message = error.response["Error"].get("Code"), error.response["Error"].get("Message", "")
        if inventory.is_absent(error.response):
            raise CloudError(
                f"{message.rstrip('.')}: it was there a moment ago; give the same command again"
            ) from error
        if code != "ResourceInUse":
            raise
    return _ours(config, job_name(config.name, order.run, order.number))


@told()
def look(config: Config, name: str) -> Job:
    """The job as it is now."""
    return _job(clients.sagemaker(config.aws.region).describe_transform_job(TransformJobName=name))


@told()
def stop(config: Config, name: str) -> None:
    """Ask the job to stop; one that has ended already stays as it is."""
    try:
        clients.sagemaker(config.aws.region).stop_transform_job(TransformJobName=name)
    except ClientError as error:
        if look(config, name).moving:
            raise CloudError(f"transform job {name} could not be stopped: {error}") from error


@told()
def traces(config: Config) -> list[Resource]:
    """What `destroy` takes away: the runs' own objects, and jobs under way, which would make more."""
    there = _own_objects(config)
    files = [Resource("batch_files", f"{config.name}/batch/", f"{len(there)} objects")] if there else []
    pages = clients.sagemaker(config.aws.region).get_paginator("list_transform_jobs")
    found = pages.paginate(NameContains=stem(config.name), StatusEquals="InProgress")
    names = [one["TransformJobName"] for page in found for one in page["TransformJobSummaries"]]
    named = [name for name in names if is_job(config.name, name)]
    return files + [Resource("transform_job", name, seen=Seen(ours=_is_ours(config, name))) for name in named]


def _is_ours(config: Config, name: str) -> bool:
    described = clients.sagemaker(config.aws.region).describe_transform_job(TransformJobName=name)
    tags = inventory.tags(clients.sagemaker(config.aws.region), described["TransformJobArn"])
    return tags.get(OWNER_TAG) == config.name


def _own_objects(config: Config) -> list[Remote]:
    """Under `<name>/batch/` what lies in a run's folder: an OUTPUT there would be somebody's own."""
    place = run_place(config, "")
    runs = re.compile(re.escape(f"{config.name}/batch/") + "[0-9a-f]{12}/")
    keys = [one.key for one in storage.listed(config, place) if runs.match(one.key)]
    return [Remote(place.scheme, place.bucket, key) for key in keys]


def end(config: Config, name: str) -> None:
    """Stop the job and return when it has stopped."""
    stop(config, name)
    while look(config, name).moving:
        time.sleep(1)


def remove_files(config: Config) -> None:
    """Delete what the runs have of their own."""
    storage.remove(config, _own_objects(config))


def _job(described: Any) -> Job:
    return Job(
        described["TransformJobName"],
        described["TransformJobStatus"],
        described["CreationTime"],
        started=described.get("TransformStartTime"),
        reason=described.get("FailureReason", ""),
    )


@told()
def printed(config: Config, job: Job) -> tuple[list[str], list[Event]]:
    """What SageMaker wrote about the job's files, and what its containers printed."""
    client = clients.logs(config.aws.region)
    pages = client.get_paginator("describe_log_streams")
    with clients.unless(lambda response: response["Error"].get("Code") == "ResourceNotFoundException"):
        found = pages.paginate(logGroupName=GROUP, logStreamNamePrefix=f"{job.name}/")
        streams = [stream["logStreamName"] for page in found for stream in page["logStreams"]]
        events = cloudwatch.events(client, GROUP, job.created, streams) if streams else []
        about = [event.text for event in events if event.stream.endswith("/data-log")]
        return about, [event for event in events if not event.stream.endswith("/data-log")]
    return [], []
