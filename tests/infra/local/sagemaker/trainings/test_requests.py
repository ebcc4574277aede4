"""What CreateTrainingJob refuses, in SageMaker's words where they are known; and lists, names, tags."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

SAVES = """
    import os, pathlib
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("trained")
"""
SPOT = {"EnableManagedSpotTraining": True}


def channel(**source: Any) -> list[dict[str, Any]]:
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]


def refused(trainer: Any, **given: Any) -> dict[str, str]:
    """The error of a request with those members; the job must not be there."""
    name = trainer.cloud.name("refused")
    client = trainer.cloud.client("sagemaker", checks=False)
    with pytest.raises(ClientError) as caught:
        client.create_training_job(**trainer.request(name, **given))
    with pytest.raises(ClientError, match="Requested resource not found."):
        trainer.describe(name)
    error: dict[str, str] = caught.value.response["Error"]
    return error


REFUSALS = {
    "an input mode that is none": (
        {"algorithm": {"TrainingInputMode": "Slow"}},
        r"Value 'Slow' at 'algorithmSpecification\.trainingInputMode' failed to satisfy constraint",
    ),
    "pipe mode": ({"algorithm": {"TrainingInputMode": "Pipe"}}, "Pipe mode is not run locally"),
    "an image and an algorithm": (
        {"algorithm": {"AlgorithmName": "mine"}},
        "either TrainingImage or Algorithm",
    ),
    "an image that is not in ECR": ({"algorithm": {"TrainingImage": "python:3"}}, 'non-ECR image "python:3"'),
    "a metric that is no expression": (
        {"algorithm": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=("}]}},
        r"'loss': 'loss=\(' is no regular expression",
    ),
    "more than one instance": (
        {"ResourceConfig": {"InstanceType": "ml.m7i.large", "InstanceCount": 2, "VolumeSizeInGB": 5}},
        "InstanceCount 2: jobs on one instance are run locally",
    ),
    "no instance type": (
        {"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 5}},
        "expected an InstanceType",
    ),
    "a wait without spot": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
        "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true",
    ),
    "spot without a wait": (
        SPOT,
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal",
    ),
    "spot with too short a wait": (
        {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal",
    ),
    "a role that is not there": (
        {"RoleArn": "arn:aws:iam::123456789012:role/nobody"},
        "Could not assume role arn:aws:iam::123456789012:role/nobody. Please ensure that the role exists and "
        "allows principal 'sagemaker.amazonaws.com' to assume the role.",
    ),
    "a prefix without objects": (
        {"InputDataConfig": channel(S3DataType="S3Prefix", S3Uri="s3://models-of-the-tests/nothing/")},
        'No S3 objects found under S3 URL "s3://models-of-the-tests/nothing/" given in input data source.',
    ),
    "a bucket that is not there": (
        {"InputDataConfig": channel(S3DataType="S3Prefix", S3Uri="s3://no-such-bucket-here/x")},
        'has "s3:ListBucket" permissions on bucket "no-such-bucket-here"',
    ),
    "an augmented manifest": (
        {"InputDataConfig": channel(S3DataType="AugmentedManifestFile", S3Uri="s3://models-of-the-tests/x")},
        "S3Prefix or ManifestFile is read locally",
    ),
    "a channel that leads upwards": (
        {"InputDataConfig": [{**channel(S3DataType="S3Prefix", S3Uri="s3://b/x")[0], "ChannelName": ".."}]},
        "channel name '..' is no name of a folder",
    ),
    "a channel twice": (
        {"InputDataConfig": 2 * channel(S3DataType="S3Prefix", S3Uri="s3://b/x")},
        "channel name 'train' is given more than once",
    ),
    "an output bucket that is not there": (
        {"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-here/out"}},
        'S3OutputPath "s3://no-such-bucket-here/out": the bucket does not exist',
    ),
    "an uncompressed model": (
        {"OutputDataConfig": {"S3OutputPath": "s3://models-of-the-tests", "CompressionType": "NONE"}},
        "stored as GZIP locally",
    ),
    "checkpoints outside /opt/ml": (
        {"CheckpointConfig": {"S3Uri": "s3://models-of-the-tests/c", "LocalPath": "/opt/ml/../../etc"}},
        "locally only folders below /opt/ml are there",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_it_is_refused_and_nothing_is_recorded(trainer: Any, what: str) -> None:
    given, message = REFUSALS[what]
    error = refused(trainer, **given)
    assert error["Code"] == "ValidationException"
    assert message in error["Message"] or re.search(message, error["Message"]), error


def test_a_name_is_taken_once_and_for_all(trainer: Any) -> None:
    name = trainer.start(SAVES)
    trainer.ended(name)
    with pytest.raises(trainer.cloud.sagemaker.exceptions.ResourceInUse) as taken:
        trainer.cloud.sagemaker.create_training_job(**trainer.request(name, trainer.code(name, SAVES)))
    arn = trainer.describe(name)["TrainingJobArn"]
    assert taken.value.response["Error"]["Message"] == (
        "Training job names must be unique within an AWS account and region, and a training job with this "
        f"name already exists ({arn})"
    )
    assert taken.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_of_two_that_create_one_name_at_once_one_is_refused(trainer: Any) -> None:
    name = trainer.cloud.name("job")
    request = trainer.request(name, trainer.code(name, SAVES))

    def create(_: int) -> str:
        try:
            trainer.cloud.sagemaker.create_training_job(**request)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == ["ResourceInUse"] * 3 + ["created"]
    trainer.ended(name)


def test_a_description_repeats_what_was_asked(trainer: Any) -> None:
    given = {"Environment": {"A": "b"}, "HyperParameters": {"epochs": "3"}}
    found = trainer.ended(trainer.start(SAVES, **given, Tags=[{"Key": "k", "Value": "v"}]))
    assert {name: found[name] for name in given} == given
    assert found["AlgorithmSpecification"]["TrainingImage"] == trainer.cloud.image
    assert found["EnableManagedSpotTraining"] is False
    assert "Tags" not in found


def test_lists_are_filtered_sorted_and_paged(trainer: Any) -> None:
    word = trainer.cloud.name("listed")
    names = [f"{word}-{number}" for number in range(3)]
    for name in names:
        script = "raise SystemExit(1)" if name == names[1] else SAVES
        trainer.cloud.sagemaker.create_training_job(**trainer.request(name, trainer.code(name, script)))
    for name in names:
        trainer.ended(name, "Failed" if name == names[1] else "Completed")
    pages = trainer.cloud.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=word, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    found = [[one["TrainingJobName"] for one in page["TrainingJobSummaries"]] for page in pages]
    assert found == [names[:2], names[2:]]
    listed = trainer.cloud.sagemaker.list_training_jobs
    assert listed(WarmPoolStatusEquals="Available")["TrainingJobSummaries"] == []
    failed = trainer.cloud.sagemaker.list_training_jobs(NameContains=word, StatusEquals="Failed")
    (summary,) = failed["TrainingJobSummaries"]
    assert (summary["TrainingJobName"], summary["SecondaryStatus"]) == (names[1], "Failed")
    assert summary["TrainingEndTime"] >= summary["CreationTime"]
    elsewhere = trainer.cloud.client("sagemaker", "eu-west-1").list_training_jobs()
    assert elsewhere["TrainingJobSummaries"] == []


def test_a_jobs_tags_are_listed_added_and_deleted(trainer: Any) -> None:
    arn = trainer.ended(trainer.start(SAVES, Tags=[{"Key": "a", "Value": "1"}]))["TrainingJobArn"]
    sagemaker = trainer.cloud.sagemaker
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    assert {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]} == {
        "a": "3",
        "b": "2",
    }
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert [tag["Key"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]] == ["b"]
    with pytest.raises(ClientError, match="Could not find training job"):
        sagemaker.list_tags(ResourceArn=arn + "-not")


def test_a_job_that_is_not_there_is_not_found(trainer: Any) -> None:
    for operation in ("describe_training_job", "stop_training_job"):
        with pytest.raises(ClientError) as missing:
            getattr(trainer.cloud.sagemaker, operation)(TrainingJobName="nobody")
        error = {"Code": "ValidationException", "Message": "Requested resource not found."}
        assert missing.value.response["Error"] == error
