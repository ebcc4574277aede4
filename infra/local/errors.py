"""An AWS service's refusal, and the four forms in which AWS's protocols carry it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from html import escape
from typing import Any


class AwsError(Exception):
    """What the service answers instead of a result; raise it from an operation or a data-plane call.

    `code` is AWS's own word (`ValidationException`, `NoSuchKey`), `fields` what the answer carries besides
    code and message (`OriginalStatusCode` of a ModelError).
    """

    def __init__(self, status: int, code: str, message: str, fields: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields or {}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer held whole."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=())


def as_json(error: AwsError) -> Answer:
    """For the JSON protocols (SageMaker's control plane): the code in the body."""
    body = {"__type": error.code, "message": error.message, **error.fields}
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", error.code))
    return Answer(error.status, json.dumps(body).encode(), headers)


def as_rest_json(error: AwsError) -> Answer:
    """For the REST JSON protocol (sagemaker-runtime): the code in a header, `Message` with a capital."""
    body = {"Message": error.message, **error.fields}
    headers = (("content-type", "application/json"), ("x-amzn-errortype", error.code))
    return Answer(error.status, json.dumps(body).encode(), headers)


def as_query_xml(error: AwsError) -> Answer:
    """For the query protocol (IAM, STS, CloudFormation)."""
    said = f"<Type>Sender</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    body = f"<ErrorResponse><Error>{said}</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    return Answer(error.status, body.encode(), (("content-type", "text/xml"),))


def as_rest_xml(error: AwsError) -> Answer:
    """For the REST XML protocol (S3)."""
    fields = {"Code": error.code, "Message": error.message, **error.fields}
    inside = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'
    return Answer(error.status, body.encode(), (("content-type", "application/xml"),))
