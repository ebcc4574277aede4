"""A stack as it is kept: what it made, what happened to it, and the change sets that wait."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.local.clients import Account
from infra.local.cloudformation.templates import Template

STACK_TYPE = "AWS::CloudFormation::Stack"
# It has no resources, and a creation begins anew.
EMPTY = {"REVIEW_IN_PROGRESS"}


@dataclass(frozen=True)
class Made:
    """A resource that is there: its kind, its name in its service, and what it was last brought to."""

    kind: str
    name: str
    properties: Mapping[str, Any]
    tells: Mapping[str, str]
    keep: bool = False  # its DeletionPolicy, or whoever had it before, keeps it


@dataclass(frozen=True)
class Event:
    """One thing that happened, in CloudFormation's words."""

    resource: str  # its logical name; the stack's own is the stack's name
    kind: str
    name: str
    status: str
    reason: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Plan:
    """What a stack is to become."""

    template: Template
    values: Mapping[str, Any]  # of the parameters


@dataclass
class Stack:
    """One stack; `status` and `made` change while it is executed, everything under the account's lock."""

    account: Account
    name: str
    plan: Plan | None = None
    status: str = "REVIEW_IN_PROGRESS"
    reason: str = ""
    made: dict[str, Made] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tags: list[dict[str, str]] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime | None = None
    serial: str = field(default_factory=lambda: str(uuid.uuid1()))

    @property
    def id(self) -> str:
        """The stack's ARN."""
        caller = self.account.caller
        return f"arn:aws:cloudformation:{caller.region}:{caller.account}:stack/{self.name}/{self.serial}"

    @property
    def moving(self) -> bool:
        """Whether something is being done to it."""
        return self.status.endswith("_IN_PROGRESS") and self.status not in EMPTY

    def pseudo(self) -> dict[str, Any]:
        """The pseudo parameters."""
        caller = self.account.caller
        return {
            "AWS::AccountId": caller.account,
            "AWS::Partition": "aws",
            "AWS::Region": caller.region,
            "AWS::StackId": self.id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def turn(self, status: str, reason: str = "") -> None:
        """The stack is in this state from now on, and its events say so."""
        self.status, self.reason = status, reason
        self.events.append(Event(self.name, STACK_TYPE, self.id, status, reason))

    def tell(self, resource: str, made: Made, status: str, reason: str = "") -> None:
        """Something happened to one of its resources."""
        self.events.append(Event(resource, made.kind, made.name, status, reason))


@dataclass
class ChangeSet:
    """What would be changed, until somebody executes or deletes it."""

    stack: Stack
    name: str
    kind: str  # CREATE or UPDATE
    plan: Plan
    changes: list[dict[str, Any]]
    status: str = "CREATE_COMPLETE"
    execution: str = "AVAILABLE"
    reason: str = ""
    tags: list[dict[str, str]] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    serial: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def id(self) -> str:
        """The change set's ARN."""
        caller = self.stack.account.caller
        return f"arn:aws:cloudformation:{caller.region}:{caller.account}:changeSet/{self.name}/{self.serial}"


def made_up(stack: str, resource: str, longest: int = 64) -> str:
    """A name for a resource that has none: of the stack, the resource, and 12 letters; at most `longest`."""
    letters = uuid.uuid4().hex[:12].upper()
    room = longest - len(letters) - 2
    return f"{stack[: room // 2]}-{resource[: room - room // 2]}-{letters}"
