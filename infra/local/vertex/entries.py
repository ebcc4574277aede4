"""Cloud Logging for the local cloud: entries.list alone, over what containers of endpoints printed.

Sources: cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list, and .../docs/api/v2/resource-list
for the resource that an endpoint of Vertex AI is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from infra.local.vertex import listing
from infra.local.vertex.errors import invalid
from infra.local.vertex.logs import Logs

Json = dict[str, Any]
PATH = "/v2/entries:list"
RESOURCE = "aiplatform.googleapis.com/Endpoint"
_CLAUSE = re.compile(r'\s*(?P<field>[\w.]+)\s*(?P<sign>=|>=)\s*"(?P<value>[^"]*)"\s*(?:AND\b|$)')


def listed(logs: Logs, request: Json) -> Json:
    """A page of the entries that the request's filter takes, the oldest first. Raises GoogleError."""
    clauses = list(_clauses(str(request.get("filter", ""))))
    if request.get("orderBy", "timestamp asc") != "timestamp asc":
        raise invalid("The local Cloud Logging orders by `timestamp asc` alone.", "order_by")
    found = [entry for entry in _entries(logs) if all(_holds(entry, *clause) for clause in clauses)]
    found.sort(key=lambda entry: str(entry["timestamp"]))
    query = {"pageSize": str(request.get("pageSize", "")), "pageToken": str(request.get("pageToken", ""))}
    return listing.page(found, "entries", query)


def _clauses(text: str) -> Iterator[tuple[str, str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _CLAUSE.match(text, at)
        if not match:
            raise invalid(
                f'Unparseable filter: {text!r}; the local one takes FIELD="VALUE" and >=, with AND.', "filter"
            )
        yield match["field"], match["sign"], match["value"]
        at = match.end()


def _entries(logs: Logs) -> Iterator[Json]:
    """Each line of each container of an endpoint."""
    for number, stream in enumerate(logs.find()):
        if "endpoint_id" not in stream.labels:
            continue
        labels = {"deployed_model_id": stream.labels["deployed_model_id"], "replica_id": str(number)}
        resource = {"type": RESOURCE, "labels": {"endpoint_id": stream.labels["endpoint_id"]}}
        for timestamp, lines in groupby(stream.lines(), lambda line: line.timestamp):
            for at, line in enumerate(lines):
                yield {
                    "insertId": f"{number}-{timestamp}-{at}",
                    "timestamp": timestamp,
                    "resource": resource,
                    "labels": labels,
                    "textPayload": line.text,
                }


def _holds(entry: Json, field: str, sign: str, value: str) -> bool:
    found: Any = entry
    for part in field.split("."):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    if sign == "=":
        return bool(found == value)
    if field != "timestamp":
        raise invalid(f"The local Cloud Logging compares timestamps alone, not {field}.", "filter")
    try:
        return datetime.fromisoformat(str(found)) >= datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid(f"{value!r} is no timestamp.", "filter") from error
