"""What a deploy prints at its end: the same request, posted by a program of the user's own."""

from __future__ import annotations

from deploy.config import Config
from deploy.target import Request

_WHOLE = """\
import boto3

runtime = boto3.client("sagemaker-runtime", region_name="{region}")
answer = runtime.invoke_endpoint(
    EndpointName="{name}",
    ContentType="{content_type}",
    Body={body!r},
)
print(answer["Body"].read().decode())"""
# A part may end anywhere, also within a letter: what is printed are its bytes.
_STREAM = """\
import sys

import boto3

runtime = boto3.client("sagemaker-runtime", region_name="{region}")
answer = runtime.invoke_endpoint_with_response_stream(
    EndpointName="{name}",
    ContentType="{content_type}",
    Body={body!r},
)
for event in answer["Body"]:
    sys.stdout.buffer.write(event["PayloadPart"]["Bytes"])
    sys.stdout.flush()"""

# The request is an object, and so is the answer.
_WAITS = """\
import uuid

import boto3

s3 = boto3.client("s3", region_name="{region}")
runtime = boto3.client("sagemaker-runtime", region_name="{region}")
owned = {{"ExpectedBucketOwner": "{account}"}}
key = f"{name}/waiting/{{uuid.uuid4()}}"
s3.put_object(Bucket="{bucket}", Key=key, Body={body!r}, **owned)
asked = runtime.invoke_endpoint_async(
    EndpointName="{name}",
    ContentType="{content_type}",
    InputLocation=f"s3://{bucket}/{{key}}",
)
bucket, _, key = asked["OutputLocation"].removeprefix("s3://").partition("/")
s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={{"Delay": 1}}, **owned)
print(s3.get_object(Bucket=bucket, Key=key, **owned)["Body"].read().decode())"""


def program(config: Config, request: Request) -> str:
    """The program."""
    text = _STREAM if request.streams else _WHOLE
    return (_WAITS if config.endpoint.asynchronous else text).format(
        account=config.aws.account,
        bucket=config.aws.bucket,
        region=config.aws.region,
        name=config.name,
        content_type=request.content_type,
        body=request.body,
    )
