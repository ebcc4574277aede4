"""SageMaker's training jobs: what one is asked for, how it is started and stopped, and what it left.

All of a deployment's training lies under `<name>/training/` in its bucket: bundles under their digests,
checkpoints, and each job's output. A job cannot be deleted; it is ours if its name is of our form and it
carries the deployment's tag. The functions are those of `deploy.target.Trainings`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.aws import clients, cloudwatch, images, inventory, storage, tagging
from deploy.aws.clients import told, unless
from deploy.aws.inventory import OWNER_TAG
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.plan import Resource, Seen
from deploy.target import CloudError, Event, Refused, Say, TrainingJob, Wanted
from deploy.training import addresses, entries, staging
from deploy.training.bundles import Bundle

SCHEME = storage.SCHEME
# The kinds of what trainings leave.
FILES, JOB = LEFT = ("training_files", "training_job")
DIGEST_TAG = "slipway:training"
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
ENTRYPOINT = ["python3", f"/opt/ml/input/data/{entries.CODE}/launch.py"]
LONGEST_WAIT_S = 2_419_200  # 28 days: StoppingCondition's MaxWaitTimeInSeconds
MOVING = {"InProgress", "Stopping"}
LOOKED_AT = 20  # completed jobs whose model is looked for: `destroy` takes models away, and jobs stay


def image(config: Config) -> str:
    """The image to train in. CloudError where neither deploy.toml nor the SageMaker SDK names one."""
    return config.training.image or images.training_image(config)


def serving_image(config: Config) -> str:
    """The image that serves."""
    return config.aws.image


def desired(config: Config, image: str, bundles: Sequence[Bundle]) -> Wanted:
    """CreateTrainingJob's request but for the name. Reads nothing."""
    aws, training = config.aws, config.training
    root = _root(config)
    hyperparameters = {key: entries.as_text(value) for key, value in training.hyperparameters.items()}
    metrics = [{"Name": name, "Regex": regex} for name, regex in training.metrics.items()]
    channels = {bundle.channel: addresses.channel_uri(root, bundle) for bundle in bundles}
    algorithm = {
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ENTRYPOINT,
        **({"MetricDefinitions": metrics} if metrics else {}),
    }
    params: dict[str, Any] = {
        "AlgorithmSpecification": algorithm,
        "RoleArn": aws.role,
        "HyperParameters": hyperparameters,
        "InputDataConfig": [_channel(name, uri) for name, uri in channels.items()],
        "OutputDataConfig": {"S3OutputPath": str(root)},
        "ResourceConfig": {
            "InstanceType": training.instance_type or aws.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": training.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.max_run_s},
        **_spot(config, str(addresses.checkpoints(root, [hyperparameters, channels]))),
    }
    digest = addresses.digest(params)
    tags = tagging.listed(config, **{DIGEST_TAG: digest})
    machine = f"{params['ResourceConfig']['InstanceType']}{' (spot)' if training.spot else ''}"
    return Wanted(digest, machine, {**params, "Tags": tags}, tuple(bundles))


def _root(config: Config) -> Remote:
    return addresses.root(SCHEME, config.aws.bucket, config.name)


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def _spot(config: Config, checkpoints: str) -> dict[str, Any]:
    training = config.training
    if not training.spot:
        return {}
    wait = training.max_wait_s or min(2 * training.max_run_s, LONGEST_WAIT_S)
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {
            "MaxRuntimeInSeconds": training.max_run_s,
            "MaxWaitTimeInSeconds": wait,
        },
        "CheckpointConfig": {"S3Uri": checkpoints},
    }


def new_name(config: Config, wanted: Wanted) -> str:
    """A name that no job has had: the deployment's, the time, and what is trained."""
    return addresses.new_name(config.name, wanted.digest)


@told()
def check(config: Config, wanted: Wanted) -> None:
    """Fail now if a channel's s3:// prefix holds nothing or belongs to another account."""
    for bundle in wanted.bundles:
        if bundle.uri:
            _check_prefix(config, bundle)


def _check_prefix(config: Config, bundle: Bundle) -> None:
    place = f"deploy.toml: [training.channels]: {bundle.channel}: {bundle.uri}"
    bucket, _, prefix = bundle.uri.removeprefix("s3://").partition("/")
    storage.reachable(config, bucket, f"{place}: bucket {bucket!r}")
    listed = clients.s3(config.aws.region).list_objects_v2(
        Bucket=bucket, Prefix=prefix, MaxKeys=1, ExpectedBucketOwner=config.aws.account
    )
    if not listed.get("KeyCount"):
        raise CloudError(f"{place} holds no objects, expected the data under that prefix")


@told()
def running(config: Config, wanted: Wanted) -> str:
    """The name of a job in progress that does just this; empty if there is none."""
    for name in _listed(config, "InProgress"):
        if name.endswith(f"-{wanted.digest[:6]}") and _tags(config, name).get(DIGEST_TAG) == wanted.digest:
            return name
    return ""


def _listed(config: Config, status: str) -> Iterator[str]:
    """The jobs in that state with a name of ours, the newest first; whether they are ours, their tags say."""
    pages = (
        clients.sagemaker(config.aws.region)
        .get_paginator("list_training_jobs")
        .paginate(
            NameContains=f"{addresses.stem(config.name)}-",
            StatusEquals=status,  # type: ignore[arg-type]  # one of the states that the stubs spell out
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 100},
        )
    )
    names = (job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"])
    return (name for name in names if addresses.is_named_so(config.name, name))


def _tags(config: Config, name: str) -> dict[str, str]:
    """A job's tags; none where it is another deployment's."""
    sagemaker = clients.sagemaker(config.aws.region)
    arn = sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobArn"]
    tags = inventory.tags(sagemaker, arn)
    return tags if tags.get(OWNER_TAG) == config.name else {}


def stage(config: Config, wanted: Wanted, say: Say) -> None:
    """Upload the files that are not there yet."""
    staging.stage(staging.Shelf(storage, config, _root(config)), wanted.bundles, say)


@told(Refused)
def start(config: Config, wanted: Wanted, name: str) -> None:
    """Start the job under this name."""
    clients.sagemaker(config.aws.region).create_training_job(TrainingJobName=name, **wanted.params)


@told()
def look(config: Config, name: str) -> TrainingJob:
    """The job as it is now."""
    return _job(clients.sagemaker(config.aws.region).describe_training_job(TrainingJobName=name))


def _job(described: Mapping[str, Any]) -> TrainingJob:
    changed = described.get("LastModifiedTime", described["CreationTime"])
    return TrainingJob(
        name=described["TrainingJobName"],
        state=described["TrainingJobStatus"],
        phase=described.get("SecondaryStatus", described["TrainingJobStatus"]),
        created=described["CreationTime"].astimezone(UTC),
        ended=described.get("TrainingEndTime", changed).astimezone(UTC),
        reason=described.get("FailureReason", ""),
        model=described.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        seconds=described.get("BillableTimeInSeconds"),
        metrics={m["MetricName"]: m["Value"] for m in described.get("FinalMetricDataList", [])},
    )


@told()
def printed(config: Config, name: str, since: datetime) -> list[Event]:
    """What the job's container printed from `since` on; nothing before it has printed anything."""
    client = clients.logs(config.aws.region)
    with unless(lambda response: response["Error"].get("Code") == "ResourceNotFoundException"):
        if streams := cloudwatch.streams_under(client, LOG_GROUP, f"{name}/"):
            return cloudwatch.events(client, LOG_GROUP, since, streams)
    return []


@told()
def stop(config: Config, name: str) -> None:
    """Ask the job to stop; nothing happens to one that has ended or never began."""
    with unless(_needs_no_stop):
        clients.sagemaker(config.aws.region).stop_training_job(TrainingJobName=name)


def _needs_no_stop(response: Mapping[str, Any]) -> bool:
    said = response["Error"].get("Message", "").lower()
    return "not found" in said or "could not find" in said or "in status" in said


@told()
def newest(config: Config) -> TrainingJob | None:
    """The newest job of this deployment that completed and whose model is still there."""
    for _, name in zip(range(LOOKED_AT), _listed(config, "Completed"), strict=False):
        model = _root(config) / f"{name}/output/model.tar.gz"
        if storage.found(config, model) and _tags(config, name):
            return look(config, name)
    return None


@told()
def fetch(config: Config, job: TrainingJob, to: Path, say: Say) -> None:
    """Bring the archive of the job's model here, as this file."""
    bucket, _, key = job.model.removeprefix("s3://").partition("/")
    there = Remote(SCHEME, bucket, key)
    model = storage.found(config, there) if bucket == config.aws.bucket else None
    if not model:
        raise CloudError(f"training job {job.name} has no model at {job.model or 'any place'}: train again")
    size, got = max(1, model.size), 0

    def count(transferred: int) -> None:
        nonlocal got
        got += transferred
        say(f"{got / size:.0%} of {size / 1e6:,.1f} MB")

    owner = {"ExpectedBucketOwner": config.aws.account}
    clients.s3(config.aws.region).download_file(bucket, key, str(to), ExtraArgs=owner, Callback=count)


def traces(config: Config) -> list[Resource]:
    """What `destroy` takes away: the files under our prefix, and jobs in progress, which would add some."""
    root = _root(config)
    there = storage.left(config, root)
    files = [Resource(FILES, root.key, f"{len(there)} objects")] if there else []
    names = [name for status in sorted(MOVING) for name in _listed(config, status)]
    return files + [_in_progress(config, name) for name in names]


def _in_progress(config: Config, name: str) -> Resource:
    return Resource(JOB, name, seen=Seen(ours=bool(_tags(config, name))))


def end(config: Config, name: str) -> None:
    """Stop the job and return when it has stopped."""
    stop(config, name)
    while look(config, name).state in MOVING:
        time.sleep(1)


def remove(config: Config, left: Resource) -> None:
    """Take away what `traces` found: a job has ended then, and nothing lies under our prefix."""
    if left.kind == JOB:
        end(config, left.name)
    else:
        there = storage.listed(config, _root(config))
        storage.remove(config, [Remote(SCHEME, config.aws.bucket, found.key) for found in there])
