"""Transform jobs: what is asked of SageMaker, which jobs a run has had, and what they printed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, cloudwatch, inventory, storage, tagging
from deploy.aws.clients import told
from deploy.aws.inventory import OWNER_TAG
from deploy.batch import staging
from deploy.batch.cloud import Job
from deploy.batch.kinds import Kind
from deploy.batch.orders import (
    MAX_PAYLOAD_MB,
    Order,
    check_processed,
    is_job,
    job_name,
    job_number,
    of_a_run,
    stem,
)
from deploy.batch.places import Place, Remote
from deploy.config import Config
from deploy.plan import Resource, Seen
from deploy.sections import Batch
from deploy.target import CloudError, Event

# The kinds of what jobs leave.
FILES, JOB = LEFT = ("batch_files", "transform_job")
RUN_TAG = "slipway:batch"
GROUP = "/aws/sagemaker/TransformJobs"
MIB = 2**20
# Where a payload is larger than SageMaker's own 6 MB and nothing is said: 16 is what the container asks for.
CONCURRENT = 16


def check_settings(settings: Batch, kind: Kind) -> None:
    """Raise BatchError for filters that SageMaker would refuse for files of this kind."""
    if settings.input_filter or settings.output_filter:
        check_processed("a filter", settings, kind)


def machines(config: Config, settings: Batch) -> str:
    """What a job runs on."""
    return f"{settings.instance_count} x {settings.instance_type or config.aws.instance_type}"


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
        "Tags": tagging.listed(config, **{RUN_TAG: order.run}),
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
    return _look(config, name)


def stage(config: Config, order: Order, origin: Place) -> None:
    """Upload local files as they are: SageMaker reads files of lines, compressed or not, and splits them."""
    staging.copy(storage, config, order, origin)


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


def look(config: Config, job: Job) -> Job:
    """The job as it is now."""
    return _look(config, job.name)


@told()
def _look(config: Config, name: str) -> Job:
    return _job(clients.sagemaker(config.aws.region).describe_transform_job(TransformJobName=name))


def stop(config: Config, job: Job) -> None:
    """Ask the job to stop; one that has ended already stays as it is."""
    _stop(config, job.name)


@told()
def _stop(config: Config, name: str) -> None:
    try:
        clients.sagemaker(config.aws.region).stop_transform_job(TransformJobName=name)
    except ClientError as error:
        if _look(config, name).moving:
            raise CloudError(f"transform job {name} could not be stopped: {error}") from error


def gather(config: Config, order: Order, job: Job) -> None:
    """Nothing: SageMaker itself leaves each file's result, whole and in order, when the file is done."""


@told()
def traces(config: Config) -> list[Resource]:
    """What `destroy` takes away: the runs' own objects, and jobs under way, which would make more."""
    there = _own_objects(config)
    files = [Resource(FILES, f"{config.name}/batch/", f"{len(there)} objects")] if there else []
    pages = clients.sagemaker(config.aws.region).get_paginator("list_transform_jobs")
    found = pages.paginate(NameContains=stem(config.name), StatusEquals="InProgress")
    names = [one["TransformJobName"] for page in found for one in page["TransformJobSummaries"]]
    named = [name for name in names if is_job(config.name, name)]
    return files + [Resource(JOB, name, seen=Seen(ours=_is_ours(config, name))) for name in named]


def _is_ours(config: Config, name: str) -> bool:
    described = clients.sagemaker(config.aws.region).describe_transform_job(TransformJobName=name)
    tags = inventory.tags(clients.sagemaker(config.aws.region), described["TransformJobArn"])
    return tags.get(OWNER_TAG) == config.name


def _own_objects(config: Config) -> list[Remote]:
    place = run_place(config, "")
    keys = [one.key for one in storage.left(config, place) if of_a_run(config.name, one.key)]
    return [Remote(place.scheme, place.bucket, key) for key in keys]


def end(config: Config, name: str) -> None:
    """Stop the job and return when it has stopped."""
    _stop(config, name)
    while _look(config, name).moving:
        time.sleep(1)


def remove(config: Config, left: Resource) -> None:
    """Take away what `traces` found: a job has ended then, and the runs have nothing of their own."""
    if left.kind == JOB:
        end(config, left.name)
    else:
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
def printed(config: Config, order: Order, job: Job) -> tuple[dict[str, str], list[Event]]:
    """What SageMaker wrote about files last, by their names, and what the job's containers printed."""
    client = clients.logs(config.aws.region)
    pages = client.get_paginator("describe_log_streams")
    with clients.unless(lambda response: response["Error"].get("Code") == "ResourceNotFoundException"):
        found = pages.paginate(logGroupName=GROUP, logStreamNamePrefix=f"{job.name}/")
        streams = [stream["logStreamName"] for page in found for stream in page["logStreams"]]
        events = cloudwatch.events(client, GROUP, job.created, streams) if streams else []
        about = [event.text for event in events if event.stream.endswith("/data-log")]
        return reasons(about, order), [event for event in events if not event.stream.endswith("/data-log")]
    return {}, []


def reasons(about: Sequence[str], order: Order) -> dict[str, str]:
    """What the platform wrote last of each of the run's files, by their names.

    Source: the data log's lines have the form `<time>:[sagemaker logs]: <bucket>/<key>: <text>`.
    """
    marker, names = f" {order.source.bucket}/{order.source.key}", {file.name for file in order.files}
    found: dict[str, str] = {}
    for line in about:
        told = line.partition(marker)[2]
        # A name may have a colon, too.
        ends = (colon.start() for colon in re.finditer(": ", told))
        end = next((end for end in ends if told[:end] in names), None)
        if end is not None and told[end + 2 :].strip():
            found[told[:end]] = told[end + 2 :]
    return found
