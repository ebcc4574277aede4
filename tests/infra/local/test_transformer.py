"""The SageMaker SDK v3's Transformer, unmodified, against the local cloud."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HANDLER = """\
import time


class Handler:
    def load(self, model_dir):
        pass

    def preprocess(self, instances):
        if "slow" in instances:
            time.sleep(20)
        return [float(value) for value in instances]

    def predict(self, inputs):
        return [2 * value for value in inputs]
"""


@pytest.fixture
def model(local_cloud: Any, tmp_path: Path) -> str:
    """A model whose handler doubles numbers; its name."""
    handler, packed = tmp_path / "handler.py", tmp_path / "model.tar.gz"
    handler.write_text(HANDLER)
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(handler, "code/handler.py")
    local_cloud.client("s3").upload_file(str(packed), "slipway-tests", "sdk-batch/model.tar.gz")
    local_cloud.client("sagemaker").create_model(
        ModelName="sdk-batch",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/slipway-execution",
        PrimaryContainer={
            "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1",
            "ModelDataUrl": "s3://slipway-tests/sdk-batch/model.tar.gz",
        },
    )
    return "sdk-batch"


@pytest.mark.timeout(1800)  # the environment's own building included
def test_jobs_are_made_followed_attached_to_and_stopped(
    run_sdk: Callable[..., Any], local_cloud: Any, model: str
) -> None:
    s3 = local_cloud.client("s3")
    inputs = {
        "good": b'{"id": 1, "x": 1.50}\n{"id": 2, "x": 3}\n',
        "bad": b'"no number"\n',
        "slow": b'"slow"\n',
    }
    for name, body in inputs.items():
        s3.put_object(Bucket="slipway-tests", Key=f"sdk-in/{name}/a.jsonl", Body=body)
    told = run_sdk("transformer.py", model, *(f"s3://slipway-tests/sdk-in/{name}/" for name in inputs))
    assert told.pop("failure").endswith("See job logs for more information")
    assert told == {
        "status": "Completed",
        "attached": ["sdk-batch", "MultiRecord", "s3://slipway-tests/sdk-out"],
        "stopped": "Stopped",
        "away": [],
    }
    scored = s3.get_object(Bucket="slipway-tests", Key="sdk-out/a.jsonl.out")["Body"].read()
    assert scored == b'{"id":1,"SageMakerOutput":3.0}\n{"id":2,"SageMakerOutput":6.0}\n'
    arn = "arn:aws:sagemaker:us-east-1:123456789012:transform-job/sdk-good"
    tags = local_cloud.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]
    assert {"Key": "made-by", "Value": "sdk"} in tags
