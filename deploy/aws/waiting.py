"""The endpoint: the one resource that moves from version to version and has to be waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from deploy.aws import inventory
from deploy.config import Config
from deploy.plan import Change
from deploy.target import CloudError, NotServed, Say

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

MOVING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
FIRST_POLL_S, LAST_POLL_S = 0.1, 15.0
# SageMaker lets an update take 8 hours at most (MaximumExecutionTimeoutInSeconds).
PATIENCE_S = 9 * 3600.0
_TAGS = "Tags"  # CreateEndpoint alone takes them; what is neither that nor a name, UpdateEndpoint alone
_CREATES = ("EndpointName", "EndpointConfigName", _TAGS)
NOTICE_S = 5.0  # by then a change that was accepted is seen in DescribeEndpoint


def begin(sagemaker: SageMakerClient, config: Config, change: Change) -> datetime:
    """Ask for the change. Returns the time at which SageMaker took it, by its own clock."""
    name, params = config.name, change.resource.params
    answer: Any
    if change.action == "create":
        answer = sagemaker.create_endpoint(**{member: params[member] for member in _CREATES})
    elif change.action == "delete":
        answer = sagemaker.delete_endpoint(EndpointName=name)
    else:
        _mark_as_served(sagemaker, config)
        answer = sagemaker.update_endpoint(**{m: value for m, value in params.items() if m != _TAGS})
    return _date(answer["ResponseMetadata"]["HTTPHeaders"])


def _mark_as_served(sagemaker: SageMakerClient, config: Config) -> None:
    """Tag the version in service, before another takes its place: only what served can be rolled back to."""
    serving = inventory.describe(sagemaker, config).get("EndpointConfigName", "")
    try:
        arn = sagemaker.describe_endpoint_config(EndpointConfigName=serving)["EndpointConfigArn"]
    except sagemaker.exceptions.ClientError as error:
        if inventory.is_absent(error.response):
            return
        raise
    now = inventory.in_utc(datetime.now(UTC))
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": inventory.SERVED_TAG, "Value": now}])


def _date(headers: dict[str, str]) -> datetime:
    return parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)


def see_through(sagemaker: SageMakerClient, config: Config, change: Change, say: Say) -> dict[str, Any]:
    """Wait until the endpoint is as the change has it, or has settled on something else."""
    if change.action == "delete":
        return settled(sagemaker, config, say, lambda described: not described)
    return settled(sagemaker, config, say, lambda described: serves(described, change))


def settled(
    sagemaker: SageMakerClient,
    config: Config,
    say: Say,
    until: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> dict[str, Any]:
    """DescribeEndpoint's answer once the endpoint has stopped changing; empty if it is gone.

    Where `until` does not hold and nothing has been seen to change yet, it is given NOTICE_S to begin.
    botocore's own waiters give up after an hour, and wait for ever on UpdateRollbackFailed.
    """
    start, moved = time.monotonic(), False
    while True:
        described = inventory.describe(sagemaker, config)
        status, waited = described.get("EndpointStatus", "gone"), time.monotonic() - start
        say(status)
        moved = moved or status in MOVING
        if status not in MOVING and (moved or until(described) or waited > NOTICE_S):
            return described
        if waited > PATIENCE_S:
            raise CloudError(f"endpoint {config.name!r} is still {status} after {waited / 3600:.0f} hours")
        # Often at first, when a change may take a second; ever less often when it takes minutes.
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, waited / 10)))


def serves(described: dict[str, Any], change: Change) -> bool:
    """Whether the endpoint is what the change asked for."""
    return (
        described.get("EndpointStatus") == "InService"
        and described.get("EndpointConfigName") == change.resource.version
    )


def verify(described: dict[str, Any], change: Change, since: datetime, alarms: Sequence[str] = ()) -> None:
    """Raise NotServed unless the settled endpoint is what the change asked for.

    `alarms` are sentences on those that went off meanwhile. An endpoint that is stuck between two versions
    is a CloudError: neither version may be taken away.
    """
    name, status = change.resource.name, described.get("EndpointStatus", "gone")
    if status == "UpdateRollbackFailed":
        raise CloudError(inventory.STUCK.format(name=name))
    if change.action == "delete":
        if described:
            raise CloudError(f"endpoint {name!r} was to be deleted and is {status}")
        return
    # SageMaker rolls a failed update back and reports InService: look at what is served.
    if not serves(described, change):
        told = described.get("FailureReason") or ("" if alarms else "SageMaker gives no reason")
        reason = "; ".join(filter(None, (told, *alarms)))
        serving = described.get("EndpointConfigName", "") if status == "InService" else ""
        state = f"it still serves {serving}" if serving else f"it is {status}"
        raise NotServed(
            f"endpoint {name!r} did not take {change.resource.version}: {reason} ({state})", since
        )
