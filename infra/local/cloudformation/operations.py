"""CloudFormation's operations: change sets, stacks, their events and resources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from infra.local.clients import Account
from infra.local.cloud import Caller
from infra.local.cloudformation import changes, descriptions, requests, resources, templates
from infra.local.cloudformation.executions import Adopts, Execution, delete
from infra.local.cloudformation.stacks import EMPTY, ChangeSet, Plan, Stack
from infra.local.cloudformation.templates import invalid
from infra.local.errors import AwsError

Asked = Mapping[str, Any]
Owner = tuple[str, str]  # account and region
# Source: the CloudFormation API's StackStatus: what a change set of the type UPDATE may begin from.
SETTLED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
SAME = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


class Operations:
    """The stacks of every account, and what can be asked of them."""

    def __init__(self, account: Callable[[Caller], Account], adopt: Adopts) -> None:
        self._account, self._adopt = account, adopt
        self._stacks: dict[Owner, list[Stack]] = {}
        self._change_sets: dict[Owner, list[ChangeSet]] = {}
        self._lock = threading.RLock()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="stack")

    @property
    def by_name(self) -> Mapping[str, Callable[[Caller, Asked], dict[str, Any]]]:
        """The operations by their names; one that is not here is not done."""
        return {
            "CreateChangeSet": self.create_change_set,
            "DescribeChangeSet": self.describe_change_set,
            "DeleteChangeSet": self.delete_change_set,
            "ExecuteChangeSet": self.execute_change_set,
            "ListChangeSets": self.list_change_sets,
            "DescribeStacks": self.describe_stacks,
            "DescribeStackEvents": self.describe_stack_events,
            "DescribeStackResources": self.describe_stack_resources,
            "ListStackResources": self.list_stack_resources,
            "ListStacks": self.list_stacks,
            "DeleteStack": self.delete_stack,
            "GetTemplate": self.get_template,
            "ValidateTemplate": self.validate_template,
        }

    def create_change_set(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """What would change. Nothing is asked of a service yet."""
        kind, template = asked.get("ChangeSetType", "UPDATE"), requests.template(asked)
        resources.check(template)
        requests.check_capabilities(template, asked.get("Capabilities", []))
        with self._lock:
            stack = self._for_change(caller, asked["StackName"], kind)
            plan = Plan(template, templates.values(template, requests.given(asked, stack.plan)))
            found = changes.between(stack, plan)
            tags = asked.get("Tags", [])
            change_set = ChangeSet(stack, asked["ChangeSetName"], kind, plan, found, tags=tags)
            if kind == "UPDATE" and not found and _outputs_alike(stack, plan):
                change_set.status, change_set.execution, change_set.reason = "FAILED", "UNAVAILABLE", SAME
            if kind == "CREATE" and stack not in self._of(caller):
                self._of(caller).append(stack)
                stack.turn("REVIEW_IN_PROGRESS", "User Initiated")
            self._waiting(caller).append(change_set)
        return {"Id": change_set.id, "StackId": stack.id}

    def _for_change(self, caller: Caller, name: str, kind: str) -> Stack:
        stack = self._found(caller, name)
        if kind == "CREATE":
            if stack is not None and stack.status not in EMPTY:
                raise invalid(
                    f"Stack [{name}] already exists and cannot be created again with the changeSet [CREATE]"
                )
            return stack or Stack(self._account(caller), name)
        if kind != "UPDATE":
            raise invalid(f"The local cloud does not know change sets of type {kind}, but CREATE and UPDATE")
        if stack is None:
            raise invalid(f"Stack [{name}] does not exist")
        if stack.status not in SETTLED:
            raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        return stack

    def describe_change_set(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """The change set, whole."""
        return descriptions.change_set(self._change_set(caller, asked))

    def list_change_sets(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """The stack's change sets, in short."""
        stack = self._stack(caller, asked["StackName"])
        mine = [one for one in self._waiting(caller) if one.stack is stack]
        return {"Summaries": [descriptions.change_set_in_short(one) for one in mine]}

    def delete_change_set(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """Forget it. The stack stays, even one that has nothing yet."""
        with self._lock:
            change_set = self._change_set(caller, asked)
            self._waiting(caller).remove(change_set)
        return {}

    def execute_change_set(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """Begin to carry it out; the stack's state and events tell how it goes."""
        with self._lock:
            change_set = self._change_set(caller, asked)
            stack = change_set.stack
            if change_set.execution != "AVAILABLE" or stack.moving:
                raise AwsError(
                    400,
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{change_set.id}] cannot be executed in its current status of "
                    f"[{change_set.execution if not stack.moving else stack.status}]",
                )
            for other in self._waiting(caller):
                if other.stack is stack:
                    other.execution = "OBSOLETE"
            change_set.execution = "EXECUTE_COMPLETE"
            stack.tags = change_set.tags or stack.tags
            stack.updated = None if stack.plan is None else datetime.now(UTC)
            stack.turn(f"{'CREATE' if stack.plan is None else 'UPDATE'}_IN_PROGRESS", "User Initiated")
            self._threads.submit(Execution(stack, change_set.plan, self._adopt).run)
        return {}

    def describe_stacks(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """That stack, or all that were not deleted. A deleted one is found by its ARN alone."""
        if "StackName" in asked:
            found = [self._stack(caller, asked["StackName"])]
        else:
            found = [one for one in self._of(caller) if one.status != "DELETE_COMPLETE"]
        return {"Stacks": [descriptions.stack(stack) for stack in found]}

    def list_stacks(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """All stacks, in short."""
        wanted = asked.get("StackStatusFilter") or []
        found = [one for one in self._of(caller) if not wanted or one.status in wanted]
        return {"StackSummaries": [descriptions.stack_in_short(one) for one in found]}

    def describe_stack_events(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """What happened to it, the newest first."""
        return {"StackEvents": descriptions.events(self._stack(caller, asked["StackName"]))}

    def describe_stack_resources(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """What it made."""
        stack = self._stack(caller, asked["StackName"])
        return {"StackResources": [{"StackName": stack.name, **one} for one in descriptions.resources(stack)]}

    def list_stack_resources(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """What it made, in short."""
        return {"StackResourceSummaries": descriptions.resources(self._stack(caller, asked["StackName"]))}

    def delete_stack(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """Begin to delete it; one that is not there is no error."""
        with self._lock:
            stack = self._found(caller, asked["StackName"])
            if stack is None:
                return {}
            if stack.moving:
                raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
            stack.turn("DELETE_IN_PROGRESS", "User Initiated")
            mine = [one for one in self._waiting(caller) if one.stack is not stack]
            self._change_sets[_owner(caller)] = mine
            self._threads.submit(delete, stack)
        return {}

    def get_template(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """The template's text, as it came."""
        plan = self._stack(caller, asked["StackName"]).plan
        return {"TemplateBody": plan.template.body if plan else "", "StagesAvailable": ["Original"]}

    def validate_template(self, caller: Caller, asked: Asked) -> dict[str, Any]:
        """Whether it can be read, and its parameters."""
        template = requests.template(asked)
        parameters = [
            {"ParameterKey": name, "DefaultValue": str(said.get("Default", ""))}
            for name, said in template.parameters.items()
        ]
        return {"Parameters": parameters, "Description": template.description}

    def _of(self, caller: Caller) -> list[Stack]:
        return self._stacks.setdefault(_owner(caller), [])

    def _waiting(self, caller: Caller) -> list[ChangeSet]:
        return self._change_sets.setdefault(_owner(caller), [])

    def _found(self, caller: Caller, name: str) -> Stack | None:
        there = (one for one in self._of(caller) if one.id == name)
        named = (one for one in self._of(caller) if one.name == name and one.status != "DELETE_COMPLETE")
        return next(there, None) or next(named, None)

    def _stack(self, caller: Caller, name: str) -> Stack:
        stack = self._found(caller, name)
        if stack is None:
            raise invalid(f"Stack with id {name} does not exist")
        return stack

    def _change_set(self, caller: Caller, asked: Asked) -> ChangeSet:
        name, stack = asked["ChangeSetName"], asked.get("StackName", "")
        for one in self._waiting(caller):
            if one.id == name or (one.name == name and stack in (one.stack.name, one.stack.id)):
                return one
        raise AwsError(404, "ChangeSetNotFound", f"ChangeSet [{name}] does not exist")


def _owner(caller: Caller) -> Owner:
    return caller.account, caller.region


def _outputs_alike(stack: Stack, plan: Plan) -> bool:
    before = stack.plan
    return before is not None and before.template.outputs == plan.template.outputs
