"""The schedule that takes the deployed model off the endpoint when its time is over: Cloud Scheduler's.

It calls Vertex AI's UndeployModel itself, with the token of the service account that deploy.toml names: no
machine of ours has to be up for it. The call names a deployed model by its number, which nobody knows before
it is deployed: so the schedule is made after the endpoint, and anew for each version. Cloud Scheduler knows
no year and no "once": what has been done stays there, and would be tried again a year later, until a deploy
or `destroy` takes it away. The endpoint without a model costs nothing.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions

from deploy.config import Config
from deploy.gcp import clients, inventory, labelling
from deploy.plan import Resource, Seen
from deploy.target import CloudError, Say

KIND = "schedule"
USUAL = "https://cloudscheduler.googleapis.com"
TIMEOUT_S = 30.0
_TOLD = re.compile(r"(?P<name>\S+) ends at (?P<moment>\S+)")
# An endpoint that is being changed refuses it: tried again for some hours.
# Source: cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs, RetryConfig
_RETRY = {"retryCount": 5, "minBackoffDuration": "60s", "maxBackoffDuration": "3600s", "maxDoublings": 5}


def _name(config: Config) -> str:
    return f"slipway-{config.name}-ttl"


def desired(config: Config) -> list[Resource]:
    """The schedule of a deployment that ends; its version is the moment. None of one that does not."""
    if not config.expires:
        return []
    return [Resource(KIND, _name(config), f"{config.expires:%Y-%m-%dT%H:%M:%SZ}", params=_job(config))]


def _job(config: Config) -> dict[str, Any]:
    """The job but for what it posts. It has no labels: its description says whose it is, and the year."""
    moment = config.expires
    assert moment is not None
    place, vertex = inventory.place(config), clients.vertex_address(config.gcp.region)
    return {
        "name": f"{place}/jobs/{_name(config)}",
        "description": f"{inventory.OWNER_LABEL}={config.name} ends at {moment:%Y-%m-%dT%H:%M:%SZ}",
        "schedule": f"{moment.minute} {moment.hour} {moment.day} {moment.month} *",
        "timeZone": "Etc/UTC",
        "retryConfig": _RETRY,
        "httpTarget": {
            "uri": f"{vertex}/v1/{inventory.endpoint_name(config)}:undeployModel",
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"},
            "oauthToken": {"serviceAccountEmail": config.gcp.scheduler_account, "scope": clients.SCOPES[0]},
        },
    }


def observed(config: Config) -> list[Resource]:
    """The schedule of this name. Who names no account for it needs neither the API nor a right to look."""
    try:
        found = _call("GET", _url(config))
    except exceptions.NotFound:
        return []
    except exceptions.Forbidden:
        if config.gcp.scheduler_account:
            raise
        return []
    told = _TOLD.fullmatch(found.get("description", ""))
    ours = bool(told and told["name"] == f"{inventory.OWNER_LABEL}={config.name}")
    return [Resource(KIND, _name(config), told["moment"] if told else "", seen=Seen(ours=ours))]


def ends(config: Config) -> datetime | None:
    """When the schedule is to take the model off the endpoint; None if there is none of ours."""
    for one in observed(config):
        if one.seen.ours:
            return datetime.fromisoformat(one.version).astimezone(UTC)
    return None


def make(config: Config, resource: Resource, say: Say) -> None:
    """Have what serves now end at this moment, and no other."""
    target = resource.params["httpTarget"] | {"body": _body(config)}
    job = resource.params | {"httpTarget": target}
    try:
        _call("POST", _url(config, ""), job)
    except exceptions.Conflict:
        _call("PATCH", _url(config), job)
    say("labels")
    labelling.renew(config)


def _body(config: Config) -> str:
    described = inventory.describe(config)
    split = described.traffic_split if described else {}
    serving = [one.id for one in described.deployed_models if split.get(one.id, 0)] if described else []
    if not serving:
        raise CloudError(f"endpoint {config.name!r} serves nothing, so there is nothing to end")
    return base64.b64encode(json.dumps({"deployedModelId": serving[0]}).encode()).decode()


def remove(config: Config, resource: Resource) -> None:
    """Have what serves stay; nothing happens where the schedule is gone."""
    try:
        _call("DELETE", _url(config))
    except exceptions.NotFound:
        return
    if inventory.describe(config) is not None:
        labelling.renew(config)


def _url(config: Config, name: str | None = None) -> str:
    address = clients.address("CLOUDSCHEDULER", USUAL)
    return f"{address}/v1/{inventory.place(config)}/jobs" + (f"/{_name(config)}" if name is None else "")


def _call(method: str, url: str, job: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the Cloud Scheduler API. Raises Google's own exceptions."""
    answer = clients.session().request(method, url, json=job, timeout=TIMEOUT_S)
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return dict(answer.json())
