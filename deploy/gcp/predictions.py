"""One prediction: the request's own bytes through rawPredict, which carries every content type."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from deploy.config import Config
from deploy.gcp import clients, errors, inventory, terms
from deploy.gcp.clients import told
from deploy.latency import told as timings
from deploy.target import Answer, CloudError, Request

# An endpoint answers within an hour at the most: the service's own error is the one to be seen.
TIMEOUT_S = 3700.0
# Source: the API's rawPredict: it is there if the answer is the container's.
CONTAINERS_OWN = "x-vertex-ai-deployed-model-id"


def caller(config: Config) -> Callable[[Request], Answer]:
    """What posts requests to the endpoint, which is looked up now: Google limits how often that may be."""
    described = inventory.describe(config)
    if described is None:
        raise CloudError(f"endpoint {config.name!r} is not there: `deploy-endpoint` makes it")
    return partial(told()(_predict), config, described)


def _predict(config: Config, described: Any, request: Request) -> Answer:
    accept = {"Accept": request.accept} if request.accept else {}
    asked = {timings.ASKED: "1"} if request.timed else {}
    start = time.perf_counter()
    answer = clients.session().post(
        f"{_address(config, described)}/v1/{inventory.endpoint_name(config)}:rawPredict",
        data=request.body,
        headers={"Content-Type": request.content_type, **accept, **asked},
        timeout=TIMEOUT_S,
    )
    took = (time.perf_counter() - start) * 1000
    if answer.status_code != 200:
        raise CloudError(_too_large(described, request) + _refusal(answer))
    content_type = answer.headers.get("Content-Type", "")
    if not content_type.startswith(request.accept):
        raise CloudError(
            f"the endpoint answered {content_type}, not {request.accept}: Vertex AI hands no Accept to the "
            "container, which answers in the form of the request; leave ACCEPT (--accept) out"
        )
    # Whether Vertex AI hands these two headers on, its documents leave open; it was not tried.
    spent = timings.by_header(answer.headers.get("Server-Timing", ""))
    return Answer(answer.content, content_type, took, spent)


def _address(config: Config, described: Any) -> str:
    if described.dedicated_endpoint_enabled:
        return f"https://{described.dedicated_endpoint_dns}"
    return clients.vertex_address(config.gcp.region)


def _refusal(answer: Any) -> str:
    if CONTAINERS_OWN in answer.headers:
        return f"the container answered {answer.status_code}: {answer.text}"
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = answer.text
    return errors.refusal(answer.status_code, str(message))


def _too_large(described: Any, request: Request) -> str:
    """What to do about a body over the endpoint's limit; empty if it is none."""
    kind = terms.kind(described)
    most = terms.LIMITS[kind][0]
    if len(request.body) <= most:
        return ""
    larger = f'[gcp] endpoint = "dedicated" takes {terms.LIMITS["dedicated"][0]:,}, '
    return (
        f"the body has {len(request.body):,} bytes, and a {kind} endpoint takes {most:,}: "
        f"{larger if kind == 'shared' else ''}`batch-transform` any number of rows. Google said: "
    )
