"""What a deploy prints at its end: the same request, posted by a program of the user's own."""

from __future__ import annotations

import json

from deploy.config import Config
from deploy.gcp import clients, terms
from deploy.target import Request

_CLIENT = """\
import os
from google.cloud import aiplatform

aiplatform.init(
    project="{project}",
    location="{region}",
    api_transport="rest",
    api_endpoint=os.environ.get("{override}AIPLATFORM", "").rstrip("/") or None,
)
"""
_DEDICATED = """\
answer = aiplatform.Endpoint("{name}").raw_predict(
    {body!r}, {{"Content-Type": "{content_type}"}}
)
print(answer.text)"""
# The SDK yields lines, and those of a refusal likewise: it looks at no status.
_STREAM = """\
lines = aiplatform.Endpoint("{name}").stream_raw_predict(
    {body!r}, {{"Content-Type": "{content_type}"}}
)
for line in lines:
    print(line.decode(), flush=True)"""
# The SDK's raw_predict asks a shared endpoint at googleapis.com, whatever address it was given.
_SHARED = """\
# {limits}; integers become floats on their way
answer = aiplatform.Endpoint("{name}").predict(instances={instances!r})
print(answer.predictions)"""


def program(config: Config, request: Request) -> str:
    """The program; `request` is one in JSON Lines."""
    gcp = config.gcp
    client = _CLIENT.format(project=gcp.project, region=gcp.region, override=clients.OVERRIDE)
    if gcp.endpoint == "dedicated":
        post = _STREAM if request.streams else _DEDICATED
        return client + post.format(name=config.name, body=request.body, content_type=request.content_type)
    instances = [json.loads(line) for line in request.body.splitlines()]
    limits = terms.sentence("shared")
    return client + _SHARED.format(name=config.name, instances=instances, limits=limits)
