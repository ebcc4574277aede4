"""Stacks and what belongs to them, as CloudFormation's API tells them. Pure."""

from __future__ import annotations

from typing import Any

from infra.local.cloudformation.stacks import ChangeSet, Plan, Stack


def parameters(plan: Plan | None) -> list[dict[str, str]]:
    """The parameters with their values, a list's with commas."""
    values = plan.values if plan else {}
    return [
        {"ParameterKey": name, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
        for name, value in values.items()
    ]


def stack(there: Stack) -> dict[str, Any]:
    """As DescribeStacks tells it."""
    return {
        "StackId": there.id,
        "StackName": there.name,
        "Description": there.plan.template.description if there.plan else None,
        "Parameters": parameters(there.plan),
        "CreationTime": there.created,
        "LastUpdatedTime": there.updated,
        "StackStatus": there.status,
        "StackStatusReason": there.reason or None,
        "DisableRollback": False,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Outputs": there.outputs,
        "Tags": there.tags,
    }


def stack_in_short(there: Stack) -> dict[str, Any]:
    """As ListStacks tells it."""
    words = ("StackId", "StackName", "CreationTime", "LastUpdatedTime", "StackStatus")
    return {word: stack(there).get(word) for word in words}


def events(there: Stack) -> list[dict[str, Any]]:
    """As DescribeStackEvents tells them: the newest first."""
    return [
        {
            "StackId": there.id,
            "EventId": event.id,
            "StackName": there.name,
            "LogicalResourceId": event.resource,
            "PhysicalResourceId": event.name,
            "ResourceType": event.kind,
            "Timestamp": event.time,
            "ResourceStatus": event.status,
            "ResourceStatusReason": event.reason or None,
        }
        for event in reversed(list(there.events))
    ]


def change_set(there: ChangeSet) -> dict[str, Any]:
    """As DescribeChangeSet tells it."""
    return {
        **change_set_in_short(there),
        "Parameters": parameters(there.plan),
        "Tags": there.tags,
        "Changes": there.changes,
    }


def change_set_in_short(there: ChangeSet) -> dict[str, Any]:
    """As ListChangeSets tells it."""
    return {
        "ChangeSetName": there.name,
        "ChangeSetId": there.id,
        "StackId": there.stack.id,
        "StackName": there.stack.name,
        "CreationTime": there.created,
        "ExecutionStatus": there.execution,
        "Status": there.status,
        "StatusReason": there.reason or None,
    }


def resources(there: Stack) -> list[dict[str, Any]]:
    """What the stack made, as ListStackResources and DescribeStackResources tell it."""
    return [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": made.name,
            "ResourceType": made.kind,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": there.updated or there.created,
            "Timestamp": there.updated or there.created,
        }
        for name, made in there.made.items()
    ]
