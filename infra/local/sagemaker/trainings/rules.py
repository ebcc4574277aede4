"""What CreateTrainingJob refuses beyond the service model, before anything is recorded.

Pure. The sentences marked [A] are those of public issue threads; the others are ours: either no public text
of SageMaker's is known, or it is something that is not run locally, which is then said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.local.errors import AwsError
from infra.local.sagemaker import checks
from infra.local.sagemaker.checks import refusal
from infra.local.sagemaker.trainings import metrics, paths

Json = Mapping[str, Any]


def request(given: Json) -> None:
    """Refuses what SageMaker refuses, and by name what is not run here."""
    if given.get("ServerlessJobConfig"):
        raise refusal("ServerlessJobConfig: serverless training is not run locally.")
    _algorithm(given.get("AlgorithmSpecification") or {})
    _resources(given.get("ResourceConfig") or {})
    _spot(given)
    _output(given["OutputDataConfig"])
    names = [channel["ChannelName"] for channel in given.get("InputDataConfig", ())]
    for channel in given.get("InputDataConfig", ()):
        _channel(channel, names)
    local = given.get("CheckpointConfig", {}).get("LocalPath", paths.CHECKPOINTS)
    if not paths.is_below_opt_ml(local):
        raise refusal(f"CheckpointConfig.LocalPath {local!r}: locally only folders below /opt/ml are there.")


def role_not_assumed(arn: str) -> AwsError:
    """The role is not there, or does not let SageMaker assume it [A]."""
    return refusal(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def name_taken(arn: str) -> AwsError:
    """A job of that name was there before, ended or not [A]."""
    return AwsError(
        400,
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this "
        f"name already exists ({arn})",
    )


def missing() -> AwsError:
    """No job of that name [A]."""
    return refusal("Requested resource not found.")


def not_to_be_stopped(status: str) -> AwsError:
    """StopTrainingJob of a job that has ended, or stops already [A]."""
    return refusal(f"The request was rejected because the training job is in status {status}.")


def no_objects(url: str, role: str, region: str) -> AwsError:
    """A channel has no data [A]."""
    bucket = url.removeprefix("s3://").partition("/")[0]
    return refusal(
        f'No S3 objects found under S3 URL "{url}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the "
        f'role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def no_bucket(member: str, url: str) -> AwsError:
    """There is no place for what the job makes."""
    return refusal(f'{member} "{url}": the bucket does not exist, or is not of this account.')


def _algorithm(given: Json) -> None:
    if bool(given.get("TrainingImage")) == bool(given.get("AlgorithmName")):
        raise refusal("AlgorithmSpecification: expected either TrainingImage or AlgorithmName.")
    if given.get("AlgorithmName"):
        raise refusal(
            "AlgorithmSpecification.AlgorithmName: algorithms of a marketplace are not run locally."
        )
    checks.image(given["TrainingImage"])
    _no_pipe("AlgorithmSpecification.TrainingInputMode", given["TrainingInputMode"])
    try:
        metrics.definitions(given.get("MetricDefinitions", ()))
    except ValueError as error:
        raise refusal(f"AlgorithmSpecification.MetricDefinitions: {error}.") from error


def _resources(given: Json) -> None:
    for member in ("InstanceGroups", "InstancePreferences"):
        if given.get(member):
            raise refusal(f"ResourceConfig.{member}: jobs on one instance of a given type are run locally.")
    if not given.get("InstanceType") or not given.get("InstanceCount"):
        raise refusal("ResourceConfig: expected an InstanceType and an InstanceCount of 1 or more.")
    if given["InstanceCount"] > 1:
        count = given["InstanceCount"]
        raise refusal(f"ResourceConfig.InstanceCount {count}: jobs on one instance are run locally.")


def _spot(given: Json) -> None:
    stopping = given.get("StoppingCondition") or {}
    runtime, wait = stopping.get("MaxRuntimeInSeconds", 86_400), stopping.get("MaxWaitTimeInSeconds")
    if wait is not None and not given.get("EnableManagedSpotTraining"):
        raise refusal(  # [A]
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
        )
    if given.get("EnableManagedSpotTraining") and (wait is None or wait < runtime):
        raise refusal(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )


def _output(given: Json) -> None:
    if given.get("CompressionType", "GZIP") != "GZIP":
        raise refusal("OutputDataConfig.CompressionType: models are stored as GZIP locally.")


def _channel(given: Json, names: list[str]) -> None:
    name = given["ChannelName"]
    if names.count(name) > 1:
        raise refusal(f"InputDataConfig: channel name {name!r} is given more than once.")
    if name.strip(".") == "":
        raise refusal(f"InputDataConfig: channel name {name!r} is no name of a folder.")
    _no_pipe(f"channel {name!r}: InputMode", given.get("InputMode", "File"))
    for member in ("CompressionType", "RecordWrapperType"):
        if given.get(member, "None") != "None":  # Source: API_Channel
            raise refusal(
                f"channel {name!r}: {member} {given[member]} is for Pipe mode, which is not run locally."
            )
    source = given["DataSource"].get("S3DataSource")
    if not source or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise refusal(f"channel {name!r}: data of S3DataType S3Prefix or ManifestFile is read locally.")
    if not source["S3Uri"].startswith("s3://"):
        raise refusal(f"channel {name!r}: S3Uri {source['S3Uri']!r}: expected s3://BUCKET/PREFIX.")


def _no_pipe(place: str, mode: str) -> None:
    if mode == "Pipe":
        raise refusal(f"{place}: Pipe mode is not run locally, expected File or FastFile.")
