"""SageMaker's training jobs over the wire: the real boto3 against the local cloud."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from deploy import config
from deploy.aws import trainings
from deploy.config import Config
from deploy.target import CloudError, Refused, TrainingJob, Wanted
from deploy.training.bundles import Bundle, File

BUCKET = "slipway-tests"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
ROLE = "arn:aws:iam::123456789012:role/slipway-execution"
SECTIONS = """
instance_type = "ml.c7i.xlarge"
max_run_s = 600
volume_gb = 50
[training.hyperparameters]
epochs = 3
shuffle = true
[training.metrics]
loss = "loss=([0-9.]+)"
"""
WAITING = "import time\nprint('loss=3', flush=True)\ntime.sleep(60)\n"
TRAIN = """\
import os, pathlib
print("loss=4")
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text("{}")
"""


def settings(place: Path, more: str = "") -> Config:
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text + more)
    return config.load(place)


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def test_what_is_wanted_is_this_request(project):
    code = Bundle("code", digest="0123456789ab" + "c" * 52)
    train = Bundle("train", digest="ba9876543210" + "c" * 52)
    more = Bundle("more", uri="s3://elsewhere/more/")
    wanted = trainings.desired(settings(project("iris"), SECTIONS), IMAGE, [code, train, more])
    assert wanted.machine == "ml.c7i.xlarge"
    assert wanted.params == {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/launch.py"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "RoleArn": ROLE,
        "HyperParameters": {"epochs": "3", "shuffle": "true"},
        "InputDataConfig": [
            channel("code", f"s3://{BUCKET}/iris/training/code/0123456789ab/"),
            channel("train", f"s3://{BUCKET}/iris/training/data/ba9876543210/"),
            channel("more", "s3://elsewhere/more/"),
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/iris/training/"},
        "ResourceConfig": {"InstanceType": "ml.c7i.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [
            {"Key": "slipway:deployment", "Value": "iris"},
            {"Key": "slipway:training", "Value": wanted.digest},
        ],
    }


def test_what_may_be_left_out_is_left_to_sagemaker_or_to_aws_section(project):
    wanted = trainings.desired(settings(project("iris")), IMAGE, [Bundle("code", digest="0" * 64)])
    assert wanted.machine == "ml.m7i.large"
    assert "MetricDefinitions" not in wanted.params["AlgorithmSpecification"]
    assert wanted.params["HyperParameters"] == {}
    assert wanted.params["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}


@pytest.mark.parametrize(("wait", "waits"), [("", 1200), ("max_wait_s = 900\n", 900)])
def test_a_spot_job_waits_and_has_checkpoints_that_belong_to_what_it_trains(project, wait, waits):
    place, code = project("iris"), Bundle("code", digest="0" * 64)
    wanted = trainings.desired(settings(place, f"max_run_s = 600\nspot = true\n{wait}"), IMAGE, [code])
    assert wanted.machine == "ml.m7i.large (spot)"
    assert wanted.params["EnableManagedSpotTraining"] is True
    assert wanted.params["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 600,
        "MaxWaitTimeInSeconds": waits,
    }
    checkpoints = wanted.params["CheckpointConfig"]["S3Uri"]
    assert re.fullmatch(rf"s3://{BUCKET}/iris/training/checkpoints/[0-9a-f]{{12}}/", checkpoints)
    longer = trainings.desired(settings(place, "volume_gb = 60\n"), IMAGE, [code])
    assert longer.params["CheckpointConfig"]["S3Uri"] == checkpoints
    other = trainings.desired(settings(place, "[training.hyperparameters]\nepochs = 4\n"), IMAGE, [code])
    assert other.params["CheckpointConfig"]["S3Uri"] != checkpoints


@pytest.fixture
def mine(iris: Path, deploy: Callable[..., int]) -> Config:
    """The settings of a project whose jobs run for a minute, unless they are stopped."""
    (iris / "training/train.py").write_text(WAITING)
    return config.load(iris)


def wanted_of(mine: Config, place: Path) -> Wanted:
    kit = Path(__file__).parents[3] / "training/launch.py"
    files = tuple(
        File(path.name, path, path.stat().st_size, path.stat().st_mtime_ns)
        for path in (place / "training/train.py", kit)
    )
    return trainings.desired(mine, IMAGE, [Bundle("code", files, "0" * 64)])


def started(mine: Config, place: Path) -> tuple[Wanted, str]:
    wanted = wanted_of(mine, place)
    name = trainings.new_name(mine, wanted)
    trainings.stage(mine, wanted, lambda state: None)
    trainings.start(mine, wanted, name)
    return wanted, name


def ended(mine: Config, name: str) -> TrainingJob:
    def look() -> TrainingJob | None:
        job = trainings.look(mine, name)
        return None if job.state in trainings.MOVING else job

    return until(look)


def test_a_job_is_started_found_again_read_stopped_and_stays_what_it_was(mine, iris):
    wanted, name = started(mine, iris)
    assert trainings.running(mine, wanted) == name
    job = trainings.look(mine, name)
    until(lambda: trainings.printed(mine, name, job.created))
    assert [event.text for event in trainings.printed(mine, name, job.created)][-1] == "loss=3"
    trainings.stop(mine, name)
    assert ended(mine, name).state == "Stopped"
    assert trainings.running(mine, wanted) == ""
    trainings.stop(mine, name)
    trainings.stop(mine, "iris-never-was")
    assert trainings.newest(mine) is None


def test_a_job_that_does_something_else_or_is_somebody_else_s_is_not_joined(mine, iris, local_cloud):
    wanted, name = started(mine, iris)
    other = trainings.desired(mine, IMAGE + "1", wanted.bundles)
    assert trainings.running(mine, other) == ""
    sagemaker = local_cloud.client("sagemaker")
    arn = sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["slipway:deployment"])
    assert trainings.running(mine, wanted) == ""
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "slipway:deployment", "Value": "iris"}])
    assert trainings.running(mine, wanted) == name


def test_the_newest_model_is_that_of_the_last_job_that_completed_and_still_has_one(
    mine, iris, local_cloud, tmp_path
):
    (iris / "training/train.py").write_text(TRAIN)
    names = [started(mine, iris)[1] for _ in range(2)]
    jobs = [ended(mine, name) for name in names]
    assert [job.state for job in jobs] == ["Completed", "Completed"]
    assert trainings.newest(mine) == jobs[1]
    trainings.fetch(mine, jobs[1], tmp_path / "fetched", lambda state: None)
    assert (tmp_path / "fetched").stat().st_size > 0
    s3 = local_cloud.client("s3")
    s3.delete_object(Bucket=BUCKET, Key=f"iris/training/{names[1]}/output/model.tar.gz")
    assert trainings.newest(mine) == jobs[0]
    with pytest.raises(CloudError, match=f"training job {names[1]} has no model at s3://"):
        trainings.fetch(mine, jobs[1], tmp_path / "gone", lambda state: None)


def test_data_that_is_not_there_or_not_ours_is_told_before_anything_is_written(mine, local_cloud):
    def refusal(uri: str) -> str:
        with pytest.raises(CloudError) as refused:
            trainings.check(mine, trainings.desired(mine, IMAGE, [Bundle("train", uri=uri)]))
        return str(refused.value)

    place = "deploy.toml: [training.channels]: train: "
    empty = f"s3://{BUCKET}/nothing/here/"
    assert refusal(empty) == f"{place}{empty} holds no objects, expected the data under that prefix"
    assert refusal("s3://slipway-nowhere/x").startswith(
        f"{place}s3://slipway-nowhere/x: bucket 'slipway-nowhere' is not there"
    )
    local_cloud.client("s3", account="999999999999").create_bucket(Bucket="slipway-others-data")
    assert "belongs to another account than 123456789012" in refusal("s3://slipway-others-data/x")


def test_a_role_that_is_not_there_is_refused_and_no_job_was_made(mine, iris):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("role/slipway-execution", "role/nobody"))
    wrong = config.load(iris)
    with pytest.raises(Refused, match="nobody"):
        started(wrong, iris)
    assert trainings.running(wrong, wanted_of(wrong, iris)) == ""
