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


def program(config: Config, request: Request) -> str:
    """The program."""
    return (_STREAM if request.streams else _WHOLE).format(
        region=config.aws.region,
        name=config.name,
        content_type=request.content_type,
        body=request.body,
    )
