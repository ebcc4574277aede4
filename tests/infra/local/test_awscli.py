"""The AWS CLI, unmodified, against the local cloud: create, describe, wait, invoke, delete."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROLE = "arn:aws:iam::123456789012:role/slipway-execution"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
Aws = Callable[..., Any]


@pytest.fixture
def aws(local_cloud: Any, tmp_path: Path) -> Aws:
    """One `aws` command; what it prints, as JSON. It must succeed, unless it is told to fail."""

    def run(*words: str, fails: bool = False) -> Any:
        command = [str(Path(sys.executable).with_name("aws")), *words, "--output", "json"]
        done = subprocess.run(
            command, env=local_cloud.shell, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert bool(done.returncode) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout or "null")

    return run


def test_an_endpoint_from_archive_to_answer_and_gone_again(
    aws: Aws, project: Callable[..., Path], tmp_path: Path
) -> None:
    place = project(factor=3)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(place / "build/model/weights.json", "weights.json")
        archive.add(place / "inference/handler.py", "code/handler.py")
    url = "s3://slipway-tests/awscli/model.tar.gz"
    aws("s3", "cp", "--quiet", "model.tar.gz", url)

    container = json.dumps({"Image": IMAGE, "ModelDataUrl": url})
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "awscli",
        "InstanceType": "ml.m7i.large",
        "InitialInstanceCount": 1,
    }
    aws(
        "sagemaker",
        "create-model",
        "--model-name",
        "awscli",
        "--execution-role-arn",
        ROLE,
        "--primary-container",
        container,
    )
    aws(
        "sagemaker",
        "create-endpoint-config",
        "--endpoint-config-name",
        "awscli",
        "--production-variants",
        json.dumps([variant]),
    )
    aws("sagemaker", "create-endpoint", "--endpoint-name", "awscli", "--endpoint-config-name", "awscli")
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", "awscli")
    described = aws("sagemaker", "describe-endpoint", "--endpoint-name", "awscli")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "awscli")

    (tmp_path / "body.json").write_text("[1, 2, 3]")
    invoked = aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "awscli", "--body", "fileb://body.json"),
        *("--content-type", "application/json", "answer.json"),
    )
    assert json.loads((tmp_path / "answer.json").read_text()) == [3, 6, 9]
    assert invoked["InvokedProductionVariant"] == "AllTraffic"

    aws("sagemaker", "delete-endpoint", "--endpoint-name", "awscli")
    aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", "awscli")
    refused = aws("sagemaker", "describe-endpoint", "--endpoint-name", "awscli", fails=True)
    assert "(ValidationException)" in refused
    assert "Could not find endpoint" in refused
