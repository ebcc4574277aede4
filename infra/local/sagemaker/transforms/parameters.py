"""How a container is fed: the request's word, then the container's own, then SageMaker's defaults.

Source: your-algorithms-batch-code; API_CreateTransformJob, MaxConcurrentTransforms.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.sagemaker.transforms.failures import JobFailed
from infra.local.sagemaker.transforms.splitting import MIB, MULTI, SINGLE

STRATEGIES = {"MultiRecord": MULTI, "SingleRecord": SINGLE}  # the API's words, and the containers'
DEFAULTS = {"MaxConcurrentTransforms": 1, "BatchStrategy": MULTI, "MaxPayloadInMB": 6}
MOST_MB = 100  # of a payload, and of all that are on their way to an instance
MOST_REQUESTS = 100  # at once: with a payload limit SageMaker's own rule comes to this
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Parameters:
    """`payload_mb` 0: a request has no limit and is sent in chunks."""

    concurrent: int
    payload_mb: int
    strategy: str

    @property
    def payload_bytes(self) -> int:
        """The limit of one request's body; without one, those at once share the most that SageMaker takes."""
        return (self.payload_mb or max(1, MOST_MB // self.concurrent)) * MIB


def answered(port: int) -> Mapping[str, Any]:
    """GET /execution-parameters; {} where the container has none, or answers something else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/execution-parameters")
        answer = connection.getresponse()
        said = json.loads(answer.read()) if answer.status == 200 else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    return said if isinstance(said, dict) else {}


def resolved(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Parameters:
    """What holds for one container. Raises JobFailed where the two together are over SageMaker's limit."""
    asked = {
        "MaxConcurrentTransforms": request.get("MaxConcurrentTransforms") or None,  # 0 is as good as unset
        "MaxPayloadInMB": request.get("MaxPayloadInMB"),
        "BatchStrategy": STRATEGIES.get(request.get("BatchStrategy", "")),
    }
    chosen = {**DEFAULTS, **_usable(answer), **{name: one for name, one in asked.items() if one is not None}}
    found = Parameters(
        concurrent=chosen["MaxConcurrentTransforms"],
        payload_mb=chosen["MaxPayloadInMB"],
        strategy=str(chosen["BatchStrategy"]),
    )
    if found.concurrent * found.payload_mb > MOST_MB:
        raise JobFailed(
            f"ClientError: MaxConcurrentTransforms ({found.concurrent}) * MaxPayloadInMB "
            f"({found.payload_mb}) of the request and of /execution-parameters is over {MOST_MB}"
        )
    return found


def environment(request: Mapping[str, Any]) -> dict[str, str]:
    """The SAGEMAKER_BATCH variables: the limits only where the caller set them."""
    given = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": STRATEGIES.get(request.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms") or None,
    }
    return {"SAGEMAKER_BATCH": "true", **{name: str(one) for name, one in given.items() if one is not None}}


def _usable(answer: Mapping[str, Any]) -> dict[str, Any]:
    limits = {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 0}
    found: dict[str, Any] = {
        name: answer[name]
        for name, least in limits.items()
        if type(answer.get(name)) is int and answer[name] >= least
    }
    if answer.get("BatchStrategy") in (MULTI, SINGLE):
        found["BatchStrategy"] = answer["BatchStrategy"]
    return found
