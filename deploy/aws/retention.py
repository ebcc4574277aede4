"""How long CloudWatch Logs keeps what an endpoint's containers print: without a word, for ever, and billed.

SageMaker makes the log group when a container first prints. The kit makes it before, so that no line of it
is kept for longer. A group that is there already is taken as it is. The tag on it says that its retention is
this deployment's: one that somebody set by hand stays where deploy.toml asks for none.
Not verified in a real account: that SageMaker writes to a group which it did not make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, inventory, tagging
from deploy.aws.clients import unless
from deploy.aws.errors import DENIED
from deploy.aws.inventory import OWNER_TAG
from deploy.config import Config
from deploy.plan import Resource, Seen
from deploy.releasing.naming import candidate_name
from deploy.target import Say

KIND = "retention"
_GONE = "ResourceNotFoundException"
_TAGS = [OWNER_TAG, tagging.PAYER_TAG, tagging.EXPIRES_TAG]


def desired(config: Config) -> list[Resource]:
    """The endpoint's log group with the days that deploy.toml gives; its version is the days in words."""
    return _of(config, config.name)


def _of(config: Config, endpoint: str) -> list[Resource]:
    if config.aws.log_days is None:
        return []
    group = {"logGroupName": inventory.log_group(endpoint)}
    params = {
        "CreateLogGroup": group,
        "TagResource": {"resourceArn": _arn(config, endpoint), "tags": tagging.of(config)},
        "PutRetentionPolicy": {**group, "retentionInDays": config.aws.log_days},
    }
    return [Resource(KIND, group["logGroupName"], _told(config.aws.log_days), params=params)]


def _told(days: int | None) -> str:
    if days is None:
        return "for ever"
    return "1 day" if days == 1 else f"{days} days"


def _arn(config: Config, endpoint: str) -> str:
    """The group's ARN as tags want it. Source: the CloudWatch Logs API's LogGroup.logGroupArn."""
    partition, account = config.aws.role.split(":")[1], config.aws.account
    return f"arn:{partition}:logs:{config.aws.region}:{account}:log-group:{inventory.log_group(endpoint)}"


def observed(config: Config) -> list[Resource]:
    """The retention of the endpoint's group, where a deployment's tag is on it."""
    return _tagged(config, config.name)


def left(config: Config) -> list[Resource]:
    """The candidate's log group, where a release that was cut off left it: ours by its tag alone."""
    found = _tagged(config, candidate_name(config.name))
    return [Resource("log_group", one.name) for one in found if one.seen.ours]


def _tagged(config: Config, endpoint: str) -> list[Resource]:
    """What a tagged group keeps; none of one without a tag. Who asks for none needs no right to look."""
    needless = DENIED if config.aws.log_days is None else set()
    try:
        return _read(config, endpoint)
    except ClientError as error:
        if error.response["Error"].get("Code") in needless | {_GONE}:
            return []
        raise


def _read(config: Config, endpoint: str) -> list[Resource]:
    logs, name = clients.logs(config.aws.region), inventory.log_group(endpoint)
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    groups = [group for page in pages for group in page["logGroups"] if group["logGroupName"] == name]
    if not groups:
        return []
    tags = logs.list_tags_for_resource(resourceArn=_arn(config, endpoint))["tags"]
    seen = Seen(ours=tags.get(OWNER_TAG) == config.name)
    return [Resource(KIND, name, _kept(config, groups[0]), seen=seen)] if OWNER_TAG in tags else []


def _kept(config: Config, group: Mapping[str, Any]) -> str:
    # An account's own policy goes before it, and is then all that can be seen: there is nothing to mend here.
    # Source: the CloudWatch Logs API's PutRetentionPolicy.
    days = config.aws.log_days if group.get("retentionPolicyName") else group.get("retentionInDays")
    return _told(days)


def make(config: Config, resource: Resource, say: Say) -> None:
    """Make the group where there is none, and have it keep its lines for that long."""
    logs, params = clients.logs(config.aws.region), resource.params
    with unless(_is_there):
        logs.create_log_group(**params["CreateLogGroup"])
    # The tag first: what was stopped half-way is seen to be so.
    logs.tag_resource(**params["TagResource"])
    logs.put_retention_policy(**params["PutRetentionPolicy"])


def beside(config: Config, endpoint: str, say: Say) -> None:
    """The same for the log group of the candidate, which is deleted with it."""
    for resource in _of(config, endpoint):
        make(config, resource, say)


def remove(config: Config, resource: Resource) -> None:
    """Have the group keep its lines for ever, as SageMaker makes it; the group and its lines stay."""
    logs = clients.logs(config.aws.region)
    with unless(_is_gone):
        logs.delete_retention_policy(logGroupName=resource.name)
        logs.untag_resource(resourceArn=_arn(config, config.name), tagKeys=_TAGS)


def _is_there(response: Mapping[str, Any]) -> bool:
    return bool(response["Error"].get("Code") == "ResourceAlreadyExistsException")


def _is_gone(response: Mapping[str, Any]) -> bool:
    return bool(response["Error"].get("Code") == _GONE)
