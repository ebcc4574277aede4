"""Cloud Logging for the local cloud: entries.list alone, over what containers and builds printed.

Sources: cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list, and .../docs/api/v2/resource-list
for the resources that an endpoint and a job of Vertex AI are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from infra.local.vertex import listing
from infra.local.vertex.errors import invalid
from infra.local.vertex.logs import Logs, LogStream
from infra.local.vertex.names import PROJECT, number_of

Json = dict[str, Any]
PATH = "/v2/entries:list"
ENDPOINT, JOB, BUILD = "aiplatform.googleapis.com/Endpoint", "ml_job", "build"
TASK = "workerpool0-0"  # of a job on one machine
_PROJECT = re.compile(rf"projects/(?P<project>{PROJECT.pattern})")
_CLAUSE = re.compile(r'\s*(?P<field>[\w.]+)\s*(?P<sign>=|>=)\s*"(?P<value>[^"]*)"\s*(?:AND\b|$)')


def listed(logs: Logs, request: Json) -> Json:
    """A page of the entries that the request's filter takes, the oldest first. Raises GoogleError."""
    clauses = list(_clauses(str(request.get("filter", ""))))
    projects = _projects(request)
    if request.get("orderBy", "timestamp asc") != "timestamp asc":
        raise invalid("The local Cloud Logging orders by `timestamp asc` alone.", "order_by")
    found = [entry for entry in _entries(logs, projects) if all(_holds(entry, *clause) for clause in clauses)]
    found.sort(key=lambda entry: str(entry["timestamp"]))
    query = {"pageSize": str(request.get("pageSize", "")), "pageToken": str(request.get("pageToken", ""))}
    return listing.page(found, "entries", query)


def _projects(request: Json) -> set[str]:
    """The numbers of the projects that are asked for."""
    asked = request.get("resourceNames")
    found = [_PROJECT.fullmatch(str(one)) for one in asked] if isinstance(asked, list) else []
    if not found or None in found:
        raise invalid(f"resource_names must be projects, such as projects/P: {asked!r}", "resource_names")
    return {number_of(one["project"]) for one in found if one}


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


def _entries(logs: Logs, projects: set[str]) -> Iterator[Json]:
    """Each line of each container of an endpoint or a job in one of the projects."""
    for number, stream in enumerate(logs.find()):
        if stream.owner.split("/")[1] not in projects:
            continue
        about = _about(stream, number)
        for timestamp, lines in groupby(stream.lines(), lambda line: line.timestamp):
            for at, line in enumerate(lines):
                yield {
                    "insertId": f"{number}-{timestamp}-{at}",
                    "timestamp": timestamp,
                    **about,
                    "textPayload": line.text,
                }


def _about(stream: LogStream, number: int) -> Json:
    """The resource that a stream is of, and the labels beside it."""
    labels = stream.labels
    if "job_id" in labels:
        return {"resource": {"type": JOB, "labels": {"job_id": labels["job_id"], "task_name": TASK}}}
    if "build_id" in labels:
        return {"resource": {"type": BUILD, "labels": {"build_id": labels["build_id"]}}}
    location = stream.owner.split("/")[3]
    return {
        "resource": {
            "type": ENDPOINT,
            "labels": {"location": location, "endpoint_id": labels["endpoint_id"]},
        },
        "labels": {"deployed_model_id": labels["deployed_model_id"], "replica_id": str(number)},
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
