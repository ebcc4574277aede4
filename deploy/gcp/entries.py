"""What containers printed, as Cloud Logging keeps it: an entry a line, labelled with the deployed model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions

from deploy.config import Config
from deploy.gcp import clients
from deploy.target import Event

USUAL = "https://logging.googleapis.com"
PAGE = 1000  # Source: the Cloud Logging API's entries.list
TIMEOUT_S = 60.0


def events(config: Config, since: datetime) -> list[Event]:
    """The lines of the endpoint's containers from `since` on, in the order of time."""
    asked = {
        "resourceNames": [f"projects/{config.gcp.project}"],
        # Source: cloud.google.com/logging/docs/api/v2/resource-list#resource-types
        "filter": 'resource.type="aiplatform.googleapis.com/Endpoint" '
        f'AND resource.labels.endpoint_id="{config.name}" '
        f'AND timestamp>="{since.astimezone(UTC).isoformat()}"',
        "orderBy": "timestamp asc",
        "pageSize": PAGE,
    }
    found: list[Event] = []
    while True:
        page = _page(asked)
        found += [_event(entry) for entry in page.get("entries", [])]
        if not page.get("nextPageToken"):
            return found
        asked["pageToken"] = page["nextPageToken"]


def _page(asked: dict[str, Any]) -> Any:
    url = f"{clients.address('LOGGING', USUAL)}/v2/entries:list"
    answer = clients.session().post(url, json=asked, timeout=TIMEOUT_S)
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return answer.json()


def _event(entry: Any) -> Event:
    labels = {**entry.get("resource", {}).get("labels", {}), **entry.get("labels", {})}
    stream = "/".join(labels[name] for name in ("deployed_model_id", "replica_id") if name in labels)
    return Event(
        datetime.fromisoformat(entry["timestamp"]), stream or "container", _text(entry), entry["insertId"]
    )


def _text(entry: Any) -> str:
    if "textPayload" in entry:
        return str(entry["textPayload"])
    payload = entry.get("jsonPayload", {})
    return str(payload.get("message") or json.dumps(payload))
