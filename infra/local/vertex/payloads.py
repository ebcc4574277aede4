"""What passes between a caller and a container, on a shared and on a dedicated endpoint. Pure.

Source: cloud.google.com/vertex-ai/docs/predictions/get-online-predictions. A shared endpoint carries
instances as protobuf's Struct, which knows no integers; a dedicated one carries them as they are.
"""

from __future__ import annotations

import json
from typing import Any

from infra.local.vertex.deployments import Deployment
from infra.local.vertex.errors import GoogleError, invalid

_FIELDS = {"instances", "parameters", "labels"}


def shared_request(body: bytes) -> bytes:
    """What the container gets of a shared endpoint's request. Raises GoogleError INVALID_ARGUMENT."""
    request = _request(body, floats=True)
    request.pop("labels", None)  # they are for the bill
    return json.dumps(request, ensure_ascii=False).encode()


def dedicated_request(body: bytes) -> bytes:
    """What the container gets of a dedicated endpoint's request: its very bytes. Raises GoogleError."""
    _request(body, floats=False)
    return body


def prediction(status: int, body: bytes, deployment: Deployment, shared: bool) -> bytes:
    """The service's answer to `predict`: the container's, and which model it was. Raises GoogleError."""
    if status // 100 != 2:
        raise failed(status, body)
    try:
        answer = json.loads(body, parse_int=float) if shared else json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unfit(f"is no JSON: {error}", body) from error
    if not isinstance(answer, dict) or "predictions" not in answer:
        raise _unfit('has no "predictions"', body)
    passed = {name: answer[name] for name in ("predictions", "metadata") if name in answer}
    who = {
        "deployedModelId": deployment.id,
        "model": deployment.model,
        "modelDisplayName": deployment.display_name,
        "modelVersionId": deployment.version,
    }
    return json.dumps({**passed, **who}, ensure_ascii=False).encode()


def raw_headers(deployment: Deployment, content_type: str) -> tuple[tuple[str, str], ...]:
    """What `rawPredict` adds to the container's answer."""
    return (
        ("content-type", content_type),
        ("x-vertex-ai-endpoint-id", deployment.endpoint.rpartition("/")[2]),
        ("x-vertex-ai-deployed-model-id", deployment.id),
        ("x-vertex-ai-model", deployment.model),
        ("x-vertex-ai-model-version-id", deployment.version),
    )


def failed(status: int, body: bytes) -> GoogleError:
    """The container refused or failed."""
    said = body.decode("utf-8", "replace") or f"The model server answered {status}."
    known = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
    kind = "FAILED_PRECONDITION" if status // 100 == 4 else "INTERNAL"
    return GoogleError(known.get(status, kind), said)


def too_large(limit: int, length: str) -> GoogleError:
    """The request's body is over the endpoint's limit; `length` is its Content-Length, "" where it has none.

    The words are those of a shared endpoint, quoted in public; those of a dedicated one are not known here.
    """
    size = f" ({length} bytes)" if length else ""
    return GoogleError("FAILED_PRECONDITION", f"The request size{size} exceeds {limit / 1e6:.3f}MB limit.")


def _request(body: bytes, floats: bool) -> dict[str, Any]:
    try:
        parse: Any = float if floats else None
        request = json.loads(body, parse_int=parse, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    if not isinstance(request, dict):
        raise invalid("Invalid JSON payload received. The body is not a JSON object.")
    for name in request:
        if name not in _FIELDS:
            raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.', name)
    if not isinstance(request.get("instances"), list):
        raise invalid("The instances of the request are required, as a list.", "instances")
    return request


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _unfit(what: str, body: bytes) -> GoogleError:
    start = body[:200].decode("utf-8", "replace")
    return GoogleError("INTERNAL", f"The model server's answer {what}; it begins with {start!r}")
