"""One prediction: the request's own bytes through rawPredict, which carries every content type.

An answer that comes in pieces does so through streamRawPredict, on a dedicated endpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests

from deploy.config import Config
from deploy.gcp import clients, errors, inventory, terms
from deploy.gcp.clients import told
from deploy.latency import told as timings
from deploy.target import Answer, CloudError, Heard, Request, ignored

# An endpoint answers within an hour at the most: the service's own error is the one to be seen.
TIMEOUT_S = 3700.0
# Source: the API's rawPredict: it is there if the answer is the container's.
CONTAINERS_OWN = "x-vertex-ai-deployed-model-id"


def caller(config: Config, heard: Heard = ignored) -> Callable[[Request], Answer]:
    """What posts requests to the endpoint, which is looked up now: Google limits how often that may be."""
    described = inventory.describe(config)
    if described is None:
        raise CloudError(f"endpoint {config.name!r} is not there: `deploy-endpoint` makes it")
    return partial(told()(_predict), _Asked(config, described, heard))


@dataclass(frozen=True)
class _Asked:
    """An endpoint, as Google describes it, and who hears its answers."""

    config: Config
    described: Any
    heard: Heard


def _predict(asked: _Asked, request: Request) -> Answer:
    # A shared endpoint has no streams: there the pieces come as one.
    streams = request.streams and asked.described.dedicated_endpoint_enabled
    verb = "streamRawPredict" if streams else "rawPredict"
    start = time.perf_counter()
    with clients.session().post(
        f"{_address(asked.config, asked.described)}/v1/{inventory.endpoint_name(asked.config)}:{verb}",
        data=request.body,
        headers=_headers(request),
        timeout=TIMEOUT_S,
        stream=streams,
    ) as answer:
        _check(asked, request, answer)
        body, first = _pieces(asked, answer, start) if streams else (answer.content, None)
        took = _ms_since(start)
    if not streams:
        asked.heard(body)
    # Whether Vertex AI hands these two headers on, its documents leave open; it was not tried.
    spent = timings.by_header(answer.headers.get("Server-Timing", ""))
    return Answer(body, answer.headers.get("Content-Type", ""), took, spent, first_ms=first)


def _headers(request: Request) -> dict[str, str]:
    accept = {"Accept": request.accept} if request.accept else {}
    timed = {timings.ASKED: "1"} if request.timed else {}
    return {"Content-Type": request.content_type, **accept, **timed}


def _check(asked: _Asked, request: Request, answer: Any) -> None:
    """Raise CloudError for an answer that is not the one asked for."""
    if answer.status_code != 200:
        raise CloudError(_too_large(asked.described, request) + _refusal(answer))
    content_type = answer.headers.get("Content-Type", "")
    if not content_type.startswith(request.accept):
        raise CloudError(
            f"the endpoint answered {content_type}, not {request.accept}: Vertex AI hands no Accept to the "
            "container, which answers in the form of the request; leave ACCEPT (--accept) out"
        )


def _pieces(asked: _Asked, answer: Any, start: float) -> tuple[bytes, float]:
    """The body, each piece of which was heard, and the milliseconds to the first."""
    body, first = bytearray(), None
    try:
        for piece in answer.iter_content(None):
            first = _ms_since(start) if first is None else first
            body += piece
            asked.heard(piece)
    except requests.RequestException as error:
        raise CloudError(
            f"the answer broke off after {len(body):,} bytes ({error}): `logs` shows what the container said"
        ) from error
    return bytes(body), _ms_since(start) if first is None else first


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


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
