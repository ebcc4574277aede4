"""What both clouds post for one sample, and whether the answers are the same. Pure.

SageMaker hands the caller's body to the container. Vertex AI's `predict` makes {"instances": [...]} of it and
takes {"predictions": [...]}, one for each instance. A handler of another server takes whole requests, which
both clouds hand over as they are (InvokeEndpoint, rawPredict).
Sources: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from deploy.releasing import differences
from deploy.sections.release import Tolerance
from deploy.target import Answer

JSON, JSON_LINES = "application/json", "application/jsonlines"
CLOUDS = ("SageMaker", "Vertex AI")
# What the last digits of single precision may differ by.
_TOLERANCE = Tolerance(relative=1e-6, absolute=1e-9)


@dataclass(frozen=True)
class Ask:
    """One request to the container."""

    body: bytes
    content_type: str


@dataclass(frozen=True)
class Reply:
    """What it answered."""

    status: int
    content_type: str
    body: str


def asks(sample: bytes, of_another_server: bool) -> tuple[Ask, Ask]:
    """SageMaker's request for one line of samples.jsonl, and Vertex AI's."""
    if of_another_server:
        return Ask(sample, JSON), Ask(sample, JSON)
    # As JSON, an instance that is a list would look like many.
    return Ask(sample, JSON_LINES), Ask(b'{"instances": [' + sample + b"]}", JSON)


def difference(ours: Reply, theirs: Reply) -> str:
    """Where SageMaker's answer and Vertex AI's are not the same, and what each has there; "" if nowhere."""
    if ours.status != theirs.status:
        return f"status {ours.status} and {theirs.status}"
    one, other = _predictions(ours), _predictions(theirs)
    # The pieces of a stream come as lines to one, and all as one prediction or as many to the other.
    if [one] == other:
        return ""
    found = differences.between(_answer(one), _answer(other), _TOLERANCE)
    return f"{found[0].place} is {found[0].old} and {found[0].new}" if found else ""


def _predictions(reply: Reply) -> Any:
    """The lines of JSON Lines, what the envelope holds, else the document or the text."""
    try:
        if reply.content_type.startswith(JSON_LINES):
            return [json.loads(line) for line in reply.body.splitlines() if line.strip()]
        document = json.loads(reply.body)
    except ValueError:
        return reply.body
    if isinstance(document, dict) and document.keys() == {"predictions"}:
        return document["predictions"]
    return document


def _answer(predictions: Any) -> Answer:
    """Both in one form, to be compared."""
    return Answer(json.dumps({"predictions": predictions}).encode(), JSON)
