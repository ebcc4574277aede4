"""CloudFormation's Query protocol: a form in, XML out, both by botocore's model of the service."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer, SerializationContext
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict

from infra.local.errors import Answer, AwsError


def asked(body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation that the form names, and its parameters. Raises AwsError for one that is not known."""
    form = MultiDict(parse_qsl(body.decode(), keep_blank_values=True))
    operation = form.get("Action", "")
    if operation not in get_service_model("cloudformation").operation_names:
        raise AwsError(400, "InvalidAction", f"Could not find operation {operation}")
    request: Any = {"values": form}  # all that the form's parser reads of a request
    return operation, dict(QueryParser(_model(operation)).parse(request))


def answered(operation: str, result: dict[str, Any]) -> Answer:
    """The operation's result as XML."""
    context = SerializationContext(str(uuid.uuid4()))
    done = QuerySerializer(operation_model=_model(operation), context=context).serialize(result)
    headers = (("content-type", "text/xml"), ("x-amzn-requestid", str(context.request_id)))
    return Answer(done["status_code"], str(done["body"]).encode(), headers)


def _model(operation: str) -> Any:
    return get_service_model("cloudformation").operation_model(operation)
