"""What an HTTP request asks of which service: its operation and parameters, whatever protocol carries them.

S3, whose operations lie in method, path and query, is read by `demands.s3`.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.session import get_session

from infra.local.iam.patterns import Context

INVOCATIONS = re.compile(
    r"/endpoints/(?P<name>[^/]+)/(?P<kind>invocations(?:-response-stream)?|async-invocations)"
)
_INVOKE = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}
# Services whose operations are told apart by method and path, which botocore's models have.
_BY_PATH = frozenset(("scheduler",))


@dataclass(frozen=True)
class Asked:
    """An HTTP request: header names in lower case, the path as it arrived, `service` the signing name."""

    service: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """An operation of a service (by its signing name), where, and with what; "" is an unknown operation."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str
    partition: str = "aws"
    context: Context = field(default_factory=dict)  # what the request itself tells beyond its parameters


def call_of(asked: Asked, account: str, region: str) -> Call:
    """The call; parameters that cannot be read are none, so that what needs them is refused."""
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    service, operation, parameters = _read(asked)
    context: Context = {}
    if target := asked.headers.get("x-amzn-sagemaker-target-model"):
        context = {"sagemaker:targetmodel": (target,)}
    return Call(service, operation, parameters, account, region, partition, context)


def is_query(asked: Asked) -> bool:
    """Whether this is the query protocol of IAM, STS and CloudFormation, which answers in XML."""
    return asked.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _read(asked: Asked) -> tuple[str, str, Mapping[str, Any]]:
    path = urllib.parse.unquote(asked.path)
    if invoked := INVOCATIONS.fullmatch(path):
        return "sagemaker", _INVOKE[invoked["kind"]], {"EndpointName": invoked["name"]}
    if target := asked.headers.get("x-amz-target"):
        return asked.service, target.rpartition(".")[2], _json(asked.body)
    if is_query(asked):
        found = _nested(asked.body.decode("utf-8", "replace"))
        return asked.service, str(found.pop("Action", "")), found
    if asked.service in _BY_PATH:
        return _by_path(asked, path)
    # The CBOR protocol says its operation in the path; its parameters are not read here.
    return asked.service, path.partition("/operation/")[2], {}


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _nested(form: str) -> dict[str, Any]:
    """`Tags.member.1.Key=a` as {"Tags": [{"Key": "a"}]}."""
    found: dict[str, Any] = {}
    for name, value in urllib.parse.parse_qsl(form, keep_blank_values=True):
        *parents, last = [part for part in name.split(".") if part not in ("member", "entry")]
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                return {}
        place[last] = value
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inside = {name: _listed(one) for name, one in value.items()}
    if inside and all(name.isdigit() for name in inside):
        return [inside[name] for name in sorted(inside, key=int)]
    return inside


def _by_path(asked: Asked, path: str) -> tuple[str, str, Mapping[str, Any]]:
    for operation, method, template in _operations(asked.service):
        match = template.fullmatch(path)
        if match and method == asked.method:
            query = dict(urllib.parse.parse_qsl(asked.query))
            given = {name[0].upper() + name[1:]: value for name, value in query.items()}
            return asked.service, operation, {**_json(asked.body), **given, **match.groupdict()}
    return asked.service, "", {}


@cache
def _operations(service: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    model = get_session().get_service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        # A tag's ARN has slashes of its own.
        template = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(http["requestUri"]))
        found.append((name, http["method"], re.compile(template)))
    return tuple(found)
