"""A stack as it is: its state, when that has settled, and why something of it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients
from deploy.aws.stacks.parameters import stack_name
from deploy.config import Config
from deploy.target import CloudError, Say

GONE = "gone"  # our word for a stack that is not there
UNBORN = "REVIEW_IN_PROGRESS"  # a change set was made for it, and never carried out
# A creation that failed leaves a stack that can do nothing but be deleted.
DEAD = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
DONE = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
BEGUN = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
FIRST_POLL_S, LAST_POLL_S = 0.2, 5.0
NOTICE_S = 60.0  # by then what was accepted is seen in the stack's state
PATIENCE_S = 3600.0

Stack = Mapping[str, Any]


def described(config: Config) -> Stack:
    """The stack as DescribeStacks has it; one with the state GONE where there is none."""
    try:
        answer = clients.cloudformation(config.aws.region).describe_stacks(StackName=stack_name(config))
    except ClientError as error:
        # CloudFormation says ValidationError to everything; only its words tell that it is not there.
        if "does not exist" in error.response["Error"].get("Message", ""):
            return {"StackStatus": GONE}
        raise
    return dict(answer["Stacks"][0])


def settled(config: Config, say: Say, until: Callable[[Stack], bool] = lambda _: True) -> Stack:
    """The stack once nothing is being done to it; until `until` holds, it is given NOTICE_S to begin."""
    start = time.monotonic()
    while True:
        stack, waited = described(config), time.monotonic() - start
        status = stack["StackStatus"]
        moving = status.endswith("_IN_PROGRESS") and status != UNBORN
        say(_progress(config, stack) if moving else status)
        if not moving and (until(stack) or waited > NOTICE_S):
            return stack
        if waited > PATIENCE_S:
            raise CloudError(f"stack {stack_name(config)} is still {status} after an hour")
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, waited / 10)))


def _progress(config: Config, stack: Stack) -> str:
    done = {event["LogicalResourceId"] for event in _last(config, stack) if _is_over(event)}
    return f"{stack['StackStatus']}, {len(done)} done"


def _is_over(event: Mapping[str, Any]) -> bool:
    return bool(event["ResourceStatus"].endswith("_COMPLETE") and not _is_own(event))


def why(config: Config, stack: Stack) -> str:
    """What the resources that failed last said, the first first; else the stack's own reason."""
    reasons = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in _last(config, stack)
        if event["ResourceStatus"].endswith("_FAILED") and not _is_own(event) and not _is_victim(event)
    ]
    none = stack.get("StackStatusReason", "CloudFormation gives no reason")
    return "; ".join(reversed(reasons)) or str(none)


def _is_victim(event: Mapping[str, Any]) -> bool:
    # Source: CloudFormation's "Resource creation cancelled": it was under way when another failed.
    return "cancelled" in event.get("ResourceStatusReason", "")


def _last(config: Config, stack: Stack) -> Iterator[Mapping[str, Any]]:
    """The events of what was last done to the stack, the newest first."""
    pages = clients.cloudformation(config.aws.region).get_paginator("describe_stack_events")
    for page in pages.paginate(StackName=stack["StackId"]):
        for event in page["StackEvents"]:
            yield event
            if _is_own(event) and event["ResourceStatus"] in BEGUN:
                return


def _is_own(event: Mapping[str, Any]) -> bool:
    return bool(event["PhysicalResourceId"] == event["StackId"])
