"""The schedule that deletes the endpoint when its time is over: EventBridge Scheduler's, once.

It calls SageMaker's DeleteEndpoint itself, as the role that deploy.toml names: no machine of ours has to be
up for it. It is made before the endpoint, so that a deploy that is cut off leaves none that nobody ends. What
the endpoint was made of stays until `destroy`; of it, the archive's bytes alone are billed.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, inventory, tagging
from deploy.aws.errors import DENIED
from deploy.config import Config
from deploy.plan import Resource, Seen
from deploy.target import Say

KIND = "schedule"
# Source: docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
_DELETE_ENDPOINT = "arn:{partition}:scheduler:::aws-sdk:sagemaker:deleteEndpoint"
# Source: docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html, one-time schedules
_ONCE = re.compile(r"at\((.+)\)")
# A day of trying again: an endpoint that is being changed cannot be deleted at that moment.
_RETRY = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def _name(config: Config) -> str:
    return f"slipway-{config.name}-ttl"


def desired(config: Config) -> list[Resource]:
    """The schedule of a deployment that ends; its version is the moment. None of one that does not."""
    if not config.expires:
        return []
    return [Resource(KIND, _name(config), tagging.expiry(config), params=_request(config))]


def _request(config: Config) -> dict[str, Any]:
    role = config.aws.scheduler_role
    target = {
        "Arn": _DELETE_ENDPOINT.format(partition=role.split(":")[1]),
        "RoleArn": role,
        "Input": json.dumps({"EndpointName": config.name}),
        "RetryPolicy": _RETRY,
    }
    return {
        "Name": _name(config),
        # A schedule has no tags, only a group of them has.
        "Description": _description(config),
        "ScheduleExpression": f"at({config.expires:%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
    }


def _description(config: Config) -> str:
    return f"{inventory.OWNER_TAG}={config.name}"


def observed(config: Config) -> list[Resource]:
    """The schedule of this name. Who names no role for it needs no right to look."""
    try:
        found = clients.scheduler(config.aws.region).get_schedule(Name=_name(config))
    except ClientError as error:
        nothing = {"ResourceNotFoundException"} | (set() if config.aws.scheduler_role else DENIED)
        if error.response["Error"].get("Code") in nothing:
            return []
        raise
    seen = Seen(
        inventory.in_utc(found["CreationDate"]), ours=found.get("Description") == _description(config)
    )
    return [Resource(KIND, _name(config), _moment(found["ScheduleExpression"]), seen=seen)]


def _moment(expression: str) -> str:
    once = _ONCE.fullmatch(expression)
    return f"{once[1]}Z" if once else expression


def ends(config: Config) -> datetime | None:
    """When the schedule is to delete the endpoint; None if there is none of ours."""
    for one in observed(config):
        if one.seen.ours:
            return datetime.fromisoformat(one.version).astimezone(UTC)
    return None


def make(config: Config, resource: Resource, say: Say) -> None:
    """Have the endpoint end at this moment, and no other."""
    client = clients.scheduler(config.aws.region)
    try:
        client.create_schedule(**resource.params)
    except client.exceptions.ConflictException:
        client.update_schedule(**resource.params)
    say("tags")
    tagging.renew(config)


def remove(config: Config, resource: Resource) -> None:
    """Have the endpoint stay; nothing happens where the schedule is gone."""
    client = clients.scheduler(config.aws.region)
    try:
        client.delete_schedule(Name=resource.name)
    except client.exceptions.ResourceNotFoundException:
        return
    if inventory.describe(clients.sagemaker(config.aws.region), config):
        tagging.renew(config)
