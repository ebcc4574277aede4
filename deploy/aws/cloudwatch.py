"""What containers printed, as CloudWatch Logs keeps it: a group an endpoint, a stream a container."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.target import Event

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


def events(
    client: CloudWatchLogsClient, group: str, since: datetime, streams: Sequence[str] = ()
) -> list[Event]:
    """The group's lines from `since` on, of these streams or of all, in the order of time."""
    asked: dict[str, Any] = {"logGroupName": group, "startTime": _milliseconds(since)}
    if streams:
        asked["logStreamNames"] = list(streams)
    pages = client.get_paginator("filter_log_events").paginate(**asked)
    found = [_event(line) for page in pages for line in page["events"]]
    return sorted(found, key=lambda event: event.time)


def streams_from(client: CloudWatchLogsClient, group: str, since: datetime) -> list[str]:
    """The streams, that is containers, that were started from `since` on."""
    pages = client.get_paginator("describe_log_streams").paginate(logGroupName=group)
    start = _milliseconds(since)
    return [
        stream["logStreamName"]
        for page in pages
        for stream in page["logStreams"]
        if stream["creationTime"] >= start
    ]


def streams_under(client: CloudWatchLogsClient, group: str, prefix: str) -> list[str]:
    """The streams whose names begin so: a job's containers."""
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=group, logStreamNamePrefix=prefix
    )
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _event(line: Any) -> Event:
    moment = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
    return Event(moment, line["logStreamName"], line["message"].rstrip("\n"), line["eventId"])
