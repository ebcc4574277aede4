"""One prediction: the request's own bytes through rawPredict, which carries every content type."""

from __future__ import annotations

from typing import Any

from deploy.config import Config
from deploy.gcp import clients, errors, inventory, terms
from deploy.target import Answer, CloudError, Request

# An endpoint answers within an hour at the most: the service's own error is the one to be seen.
TIMEOUT_S = 3700.0
# Source: the API's rawPredict: it is there if the answer is the container's.
CONTAINERS_OWN = "x-vertex-ai-deployed-model-id"


def predict(config: Config, request: Request) -> Answer:
    """The endpoint's answer; CloudError with the container's own words if it is none."""
    described = inventory.describe(config)
    if described is None:
        raise CloudError(f"endpoint {config.name!r} is not there: `deploy-endpoint` makes it")
    accept = {"Accept": request.accept} if request.accept else {}
    answer = clients.session().post(
        f"{_address(config, described)}/v1/{inventory.endpoint_name(config)}:rawPredict",
        data=request.body,
        headers={"Content-Type": request.content_type, **accept},
        timeout=TIMEOUT_S,
    )
    if answer.status_code != 200:
        raise CloudError(_too_large(described, request) + _refusal(answer))
    content_type = answer.headers.get("Content-Type", "")
    if not content_type.startswith(request.accept):
        raise CloudError(
            f"the endpoint answered {content_type}, not {request.accept}: Vertex AI hands no Accept to the "
            "container, which answers in the form of the request; leave ACCEPT (--accept) out"
        )
    return Answer(answer.content, content_type)


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
