"""Training jobs as both clouds have them, for the tests of `train`: scripts of a few lines, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLACE = "projects/slipway-tests/locations/us-central1"
TRAIN = """\
import argparse, json, os, pathlib

options = argparse.ArgumentParser()
options.add_argument("--factor", type=float, default=7)
factor = options.parse_args().factor
channel = os.environ.get("SM_CHANNEL_TRAIN")
if channel:
    factor *= float(pathlib.Path(channel, "scale.txt").read_text())
print(f"factor={factor:g}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text(json.dumps({"factor": factor}))
"""
STATES = {
    "JOB_STATE_PENDING": "InProgress",
    "JOB_STATE_RUNNING": "InProgress",
    "JOB_STATE_SUCCEEDED": "Completed",
    "JOB_STATE_FAILED": "Failed",
    "JOB_STATE_CANCELLING": "Stopping",
    "JOB_STATE_CANCELLED": "Stopped",
}
MACHINE = {"aws": "ml.m7i.large", "gcp": "n2-standard-2"}
# What each cloud calls the operations that tests count, and at which they fail.
UPLOAD = {"aws": "PutObject", "gcp": "POST objects"}
DOWNLOAD = {"aws": "GetObject", "gcp": "GET objects"}
LIST = {"aws": "ListTrainingJobs", "gcp": "GET customJobs"}
START = {"aws": "CreateTrainingJob", "gcp": "POST customJobs"}
LOOK = {"aws": "DescribeTrainingJob", "gcp": "GET customJobs"}


@dataclass(frozen=True)
class Training:
    """A job: its name, its state in SageMaker's words, and when it was made (epoch seconds)."""

    name: str
    state: str
    made: float


def listed(cloud: Any, name: str) -> list[Training]:
    """The jobs whose names begin with that of a deployment, the newest first."""
    found = _of_sagemaker(cloud, name) if cloud.name == "aws" else _of_vertex(cloud, name)
    return sorted(found, key=lambda job: job.made, reverse=True)


def _of_sagemaker(cloud: Any, name: str) -> list[Training]:
    answer = cloud.local.client("sagemaker").list_training_jobs(NameContains=f"{name}-", MaxResults=100)
    return [
        Training(one["TrainingJobName"], one["TrainingJobStatus"], one["CreationTime"].timestamp())
        for one in answer["TrainingJobSummaries"]
    ]


def _of_vertex(cloud: Any, name: str) -> list[Training]:
    request = {"parent": PLACE, "filter": f'display_name:"{name}-*"'}
    return [
        Training(one.display_name, STATES[one.state.name], one.create_time.timestamp())
        for one in cloud.jobs.list_custom_jobs(request=request)
    ]


def factor(place: Path) -> float:
    """The model that lies in a project."""
    return json.loads((place / "build/model/weights.json").read_text())["factor"]


def recorded(place: Path) -> str:
    """The job of which the model is, as build/model.json has it."""
    return json.loads((place / "build/model.json").read_text())["job"]


def configure(place: Path, more: str) -> None:
    """More lines for [training], which is the last section, and for sections after it."""
    with (place / "deploy.toml").open("a") as file:
        file.write(more)
