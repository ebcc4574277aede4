"""One prediction: InvokeEndpoint, its sister for answers that come in pieces, and its brother that waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, EventStreamError
from urllib3.exceptions import HTTPError

from deploy.aws import asynchronous, clients
from deploy.config import Config
from deploy.latency import told as timings
from deploy.target import Answer, CloudError, Heard, Request


def predict(config: Config, request: Request, heard: Heard) -> Answer:
    """The endpoint's answer, each piece of which is heard. Raises boto3's errors, and CloudError."""
    try:
        if waits := config.endpoint.asynchronous:
            return asynchronous.predict(config, waits, request, heard)
        return (_in_pieces if request.streams else _whole)(config, request, heard)
    except ClientError as error:
        if error.response["Error"].get("Code") == "ValidationError" and "not found" in str(error):
            raise CloudError(f"endpoint {config.name!r} is not there: `deploy-endpoint` makes it") from error
        raise


def _whole(config: Config, request: Request, heard: Heard) -> Answer:
    start = time.perf_counter()
    answer = clients.runtime(config.aws.region).invoke_endpoint(**_asked(config, request))
    body = answer["Body"].read()
    took = _ms_since(start)
    heard(body)
    return Answer(body, answer.get("ContentType", ""), took, _told(answer), _retries(answer))


def _in_pieces(config: Config, request: Request, heard: Heard) -> Answer:
    start = time.perf_counter()
    runtime = clients.streams(config.aws.region)
    answer = runtime.invoke_endpoint_with_response_stream(**_asked(config, request))
    body, first = bytearray(), None
    with closing(answer["Body"]) as events, _told_where(body):
        for event in events:
            piece = event["PayloadPart"]["Bytes"]
            first = _ms_since(start) if first is None else first
            body += piece
            heard(piece)
    kind, took = answer.get("ContentType", ""), _ms_since(start)
    return Answer(bytes(body), kind, took, _told(answer), _retries(answer), took if first is None else first)


def _asked(config: Config, request: Request) -> dict[str, Any]:
    # Of an answer's headers the custom attributes alone come back.
    asked = {"Accept": request.accept, "CustomAttributes": timings.ASKED if request.timed else ""}
    given = {name: value for name, value in asked.items() if value}
    return {
        "EndpointName": config.name,
        "Body": request.body,
        "ContentType": request.content_type,
        **given,
    }


@contextmanager
def _told_where(body: bytearray) -> Iterator[None]:
    """Tell where an answer broke off: its pieces come past botocore's own handling of errors."""
    try:
        yield
    except EventStreamError as error:
        why = error.response["Error"].get("Message") or error.response["Error"].get("Code")
        raise CloudError(_broken(body, str(why))) from error
    except (BotoCoreError, HTTPError) as error:
        raise CloudError(_broken(body, str(error))) from error


def _broken(body: bytearray, why: str) -> str:
    return f"the answer broke off after {len(body):,} bytes ({why}): `logs` shows what the container said"


def _told(answer: Any) -> timings.Told | None:
    return timings.by_attributes(answer.get("CustomAttributes", ""))


def _retries(answer: Any) -> int:
    return int(answer["ResponseMetadata"].get("RetryAttempts", 0))


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
