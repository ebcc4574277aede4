"""What asynchronous endpoints tell by SNS.

The messages' form is that of public examples; Source: developer guide, async-inference-check-predictions.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.cloud import Caller

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one asynchronous request. `failure` is "" where it was answered."""

    endpoint: str
    inference_id: str
    input_location: str
    accept: str
    received: datetime
    output_location: str = ""
    content_type: str = ""
    failure: str = ""
    response: dict[str, Any] | None = None


def message_of(caller: Caller, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """The notification's message."""
    asked = {
        "accept": outcome.accept,
        "endpointName": outcome.endpoint,
        "inputLocation": outcome.input_location,
    }
    answered = {"contentType": outcome.content_type, "outputLocation": outcome.output_location}
    message: dict[str, Any] = {
        "awsRegion": caller.region,
        "eventTime": _iso(now),
        "receivedTime": _iso(outcome.received),
        "invocationStatus": "Failed" if outcome.failure else "Completed",
        "requestParameters": {name: value for name, value in asked.items() if value},
        "inferenceId": outcome.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    if outcome.failure:
        message["failureReason"] = outcome.failure
    else:
        message["responseParameters"] = answered
    if outcome.response:
        message["responseBody"] = outcome.response
    return message


def publish(caller: Caller, topic: str, outcome: Outcome) -> bool:
    """Publishes to the topic of moto's SNS, and so to what is subscribed to it; False where that fails."""
    from moto.sns.models import sns_backends

    message = json.dumps(message_of(caller, outcome, datetime.now(UTC)))
    try:
        sns_backends[caller.account][caller.region].publish(message, arn=topic)
    except Exception:  # no such topic, mostly
        _log.exception("%s was not told of %s", topic, outcome.inference_id)
        return False
    return True


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
