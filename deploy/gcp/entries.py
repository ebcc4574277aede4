"""What containers printed, as Cloud Logging keeps it: an entry a line, labelled with whose it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry

from deploy.config import Config
from deploy.gcp import clients
from deploy.target import Event

USUAL = "https://logging.googleapis.com"
PAGE = 1000  # Source: the Cloud Logging API's entries.list
TIMEOUT_S = 60.0
# Of a project, 60 reads a minute are answered, and 429 is said to the rest.
# Source: cloud.google.com/logging/quotas, entries.list
WHEN_THERE_IS_ROOM = Retry(initial=1.0, maximum=15.0, timeout=120.0)
STREAM = ("deployed_model_id", "replica_id", "task_name")  # what tells the containers of one resource apart
SERVICE = "service"  # the task in whose name Vertex AI itself speaks in a job's log


def of_endpoint(config: Config, since: datetime) -> list[Event]:
    """The lines of the endpoint's containers from `since` on, in the order of time."""
    # Source: cloud.google.com/logging/docs/api/v2/resource-list#resource-types
    of = 'resource.type="aiplatform.googleapis.com/Endpoint" '
    where = f'AND resource.labels.location="{config.gcp.region}" '
    return _events(config, f'{of}{where}AND resource.labels.endpoint_id="{config.name}"', since)


def of_job(config: Config, number: str, since: datetime) -> list[Event]:
    """The lines of the containers of the job with this number from `since` on, in the order of time."""
    # Source: cloud.google.com/vertex-ai/docs/training/monitor-logs
    found = _events(config, f'resource.type="ml_job" AND resource.labels.job_id="{number}"', since)
    return [event for event in found if event.stream != SERVICE]


def of_build(config: Config, number: str, since: datetime) -> list[Event]:
    """The lines of a build of Cloud Build from `since` on, in the order of time."""
    # Source: cloud.google.com/build/docs/securing-builds/store-manage-build-logs
    return _events(config, f'resource.type="build" AND resource.labels.build_id="{number}"', since)


def _events(config: Config, of: str, since: datetime) -> list[Event]:
    asked = {
        "resourceNames": [f"projects/{config.gcp.project}"],
        "filter": f'{of} AND timestamp>="{since.astimezone(UTC).isoformat()}"',
        "orderBy": "timestamp asc",
        "pageSize": PAGE,
    }
    found: list[Event] = []
    session = clients.session()  # whose credentials are good, or it is told now: no page is tried in vain
    while True:
        page = WHEN_THERE_IS_ROOM(_page)(session, asked)
        found += [_event(entry) for entry in page.get("entries", [])]
        if not page.get("nextPageToken"):
            return found
        asked["pageToken"] = page["nextPageToken"]


def _page(session: Any, asked: dict[str, Any]) -> Any:
    url = f"{clients.address('LOGGING', USUAL)}/v2/entries:list"
    answer = session.post(url, json=asked, timeout=TIMEOUT_S)
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return answer.json()


def _event(entry: Any) -> Event:
    labels = {**entry.get("resource", {}).get("labels", {}), **entry.get("labels", {})}
    stream = "/".join(labels[name] for name in STREAM if name in labels)
    return Event(
        datetime.fromisoformat(entry["timestamp"]), stream or "container", _text(entry), entry["insertId"]
    )


def _text(entry: Any) -> str:
    if "textPayload" in entry:
        return str(entry["textPayload"])
    payload = entry.get("jsonPayload", {})
    return str(payload.get("message") or json.dumps(payload))
