"""The SageMaker SDK v3's Transformer, unmodified: a job that completes, one that fails, one that is stopped.

Run in `.venv-sagemaker` by test_transformer.py: `python transformer.py MODEL GOOD BAD SLOW`, a model's name
and three inputs. Prints what became of the jobs, as JSON. A connection to anything but this machine fails it.
"""

import json
import sys

from offline import AWAY  # first: it watches what the SDK connects to

# isort: split
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.transformer import Transformer
from sagemaker.core.utils.exceptions import FailedStatusError

LINES = {"content_type": "application/jsonlines", "split_type": "Line"}


def transformer(model: str) -> Transformer:
    """A transformer of that model with every knob turned."""
    return Transformer(
        model_name=model,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="MultiRecord",
        assemble_with="Line",
        output_path="s3://slipway-tests/sdk-out",
        accept="application/jsonlines",
        max_concurrent_transforms=2,
        max_payload=1,
        env={"FROM_THE_SDK": "yes"},
        tags=[{"Key": "made-by", "Value": "sdk"}],
        sagemaker_session=Session(boto_session=boto3.Session(), default_bucket="slipway-tests"),
    )


def failure_of(model: str, url: str) -> str:
    """What the SDK raises for a job that fails."""
    made = transformer(model)
    made.transform(url, job_name="sdk-bad", **LINES, wait=False)
    try:
        made.latest_transform_job.wait(poll=1)
    except FailedStatusError as error:
        return str(error)
    return ""


def main(model: str, good: str, bad: str, slow: str) -> None:
    made = transformer(model)
    made.transform(
        good,
        job_name="sdk-good",
        join_source="Input",
        input_filter="$.x",
        output_filter="$['id','SageMakerOutput']",
        model_client_config={"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 1},
        **LINES,
    )
    attached = Transformer.attach("sdk-good", sagemaker_session=made.sagemaker_session)
    stopped = transformer(model)
    stopped.transform(slow, job_name="sdk-slow", **LINES, wait=False)
    stopped.stop_transform_job(wait=False)
    stopped.latest_transform_job.wait(poll=1)
    told = {
        "status": attached.latest_transform_job.transform_job_status,
        "attached": [attached.model_name, attached.strategy, attached.output_path],
        "failure": failure_of(model, bad),
        "stopped": stopped.latest_transform_job.refresh().transform_job_status,
        "away": AWAY,
    }
    print()  # the SDK's progress ends without a newline
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
