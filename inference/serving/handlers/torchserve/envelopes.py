"""TorchServe's service envelopes: what stands between a request and the handler's rows.

With "json" a request is {"instances": [...]}, a row is an instance, and the answer {"predictions": [...]}:
Vertex AI's TorchServe images are set up so. With "body" a row is a request's body alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

# handle(rows, context): the rows' results.
Handle = Callable[[Any, Any], Any]


def enveloped(handle: Handle, envelope: str) -> Handle:
    """The handler inside this envelope; "" is none."""
    if envelope == "body":
        return lambda data, context: handle([_content(row) for row in data], context)
    return _json(handle) if envelope == "json" else handle


def _json(handle: Handle) -> Handle:
    def handle_all(data: Any, context: Any) -> Any:
        batches = [[_undone(one) for one in _instances(row)] for row in data]
        results = handle([one for batch in batches for one in batch], context)
        return _split(results, [len(batch) for batch in batches]) if results else results

    return handle_all


def _content(row: dict[str, Any]) -> Any:
    return row.get("data") or row.get("body")


def _instances(row: dict[str, Any]) -> list[Any]:
    instances: list[Any] = (_content(row) or row)["instances"]
    if not instances:
        raise ValueError("no instances")  # TorchServe's envelope has no answer to it either
    return instances


def _undone(instance: Any) -> Any:
    """The instance with what came as {"b64": text} as bytes, itself or one field of it."""
    if not isinstance(instance, dict):
        return instance
    if list(instance) == ["b64"]:
        return base64.b64decode(instance["b64"])
    return {
        name: base64.b64decode(value["b64"]) if isinstance(value, dict) and list(value) == ["b64"] else value
        for name, value in instance.items()
    }


def _split(results: Any, counts: list[int]) -> list[str]:
    ends = list(accumulate(counts))
    pieces = [results[end - count : end] for count, end in zip(counts, ends, strict=True)]
    return [json.dumps({"predictions": piece}) for piece in pieces]
