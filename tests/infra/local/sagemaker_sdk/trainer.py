"""The SageMaker SDK v3's ModelTrainer, unmodified, from a folder of source to a model, and to a failure.

Run in `.venv-sagemaker` by test_model_trainer.py: `python trainer.py SOURCE DATA`. Prints what became of the
jobs, as JSON. A connection to anything but this machine fails it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from offline import AWAY  # first: it watches what the SDK connects to

# isort: split
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-training:1"
ROLE = "arn:aws:iam::123456789012:role/slipway-execution"


def trainer(source: str, name: str, **given: Any) -> ModelTrainer:
    """A trainer of that source on one instance."""
    return ModelTrainer(
        sagemaker_session=Session(boto_session=boto3.Session(), default_bucket="slipway-tests"),
        role=ROLE,
        training_image=IMAGE,
        base_job_name=name,
        compute=Compute(instance_type="ml.m7i.large", instance_count=1),
        source_code=SourceCode(source_dir=source, **given.pop("code")),
        **given,
    )


def log_of(name: str) -> list[str]:
    """The job's log."""
    logs, group = boto3.client("logs"), "/aws/sagemaker/TrainingJobs"
    found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name)["logStreams"]
    streams = [one["logStreamName"] for one in found]
    events = logs.filter_log_events(logGroupName=group, logStreamNames=streams)["events"]
    return [event["message"] for event in events]


def fail(source: str) -> dict[str, Any]:
    """What is told of a job whose script fails."""
    failing = trainer(source, "sdk-fails", code={"command": "exit 3"})
    try:
        failing.train(wait=True, logs=False)
    except FailedStatusError:
        job = failing._latest_training_job
        job.refresh()
        return {"status": job.training_job_status, "reason": job.failure_reason}
    raise AssertionError("a script that fails did not fail the job")


def main(source: str, data: str) -> None:
    code = {"entry_script": "train.py", "requirements": "requirements.txt"}
    hyperparameters = {"factor": 2.5, "words": ["a b", "c"]}
    good = trainer(source, "sdk-trains", code=code, hyperparameters=hyperparameters)
    good.train(input_data_config=[InputData(channel_name="train", data_source=data)], wait=True, logs=True)
    job = good._latest_training_job
    told = {
        "status": job.training_job_status,
        "model": job.model_artifacts.s3_model_artifacts,
        "log": log_of(job.training_job_name),
        "failed": fail(str(Path(source))),
        "away": AWAY,
    }
    print()  # the SDK's progress ends without a newline
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
