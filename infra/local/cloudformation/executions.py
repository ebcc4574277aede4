"""A plan carried out: resources made, changed and taken away one by one, all of it undone where one fails.

Source: docs.aws.amazon.com/AWSCloudFormation, "Understand update behaviors of stack resources": what is no
longer wanted goes last, when all else has succeeded; a first creation that fails is rolled back to nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.cloudformation import functions
from infra.local.cloudformation.changes import differing
from infra.local.cloudformation.functions import Scope
from infra.local.cloudformation.resources import KINDS
from infra.local.cloudformation.resources.kind import Failed, named
from infra.local.cloudformation.stacks import Made, Plan, Stack, made_up

log = logging.getLogger(__name__)
Undo = Callable[[], None]
Adopts = Callable[[Stack, str, str], bool]
KEEPS = {"Retain", "RetainExceptOnCreate", "Snapshot"}


class Execution:
    """One plan on one stack. `adopt` says of a resource to be made whether it is there and is taken over."""

    def __init__(self, stack: Stack, plan: Plan, adopt: Adopts) -> None:
        self._stack, self._plan, self._adopt = stack, plan, adopt
        self._undo: list[Undo] = []
        self._replaced: list[tuple[str, Made]] = []
        self._failed = ""

    def run(self) -> None:
        """Carry the plan out. It raises nothing: the stack's state and events say how it ended."""
        verb = "CREATE" if self._stack.plan is None else "UPDATE"
        try:
            self._bring()
            outputs = self._outputs()
        except Exception as error:
            if not isinstance(error, Failed | ClientError | BotoCoreError):
                log.exception("stack %s", self._stack.name)
            self._roll_back(verb)
            return
        self._stack.plan, self._stack.outputs = self._plan, outputs
        if verb == "UPDATE":
            self._stack.turn("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up()
        self._stack.turn(f"{verb}_COMPLETE")

    def _bring(self) -> None:
        scope = self._scope()
        for name in functions.in_order(self._plan.template):
            if self._is_wanted(name, scope):
                self._bring_one(name, scope)

    def _is_wanted(self, name: str, scope: Scope) -> bool:
        said = self._plan.template.resources[name]
        return "Condition" not in said or functions.holds(said["Condition"], scope)

    def _bring_one(self, name: str, scope: Scope) -> None:
        said, there = self._plan.template.resources[name], self._stack.made.get(name)
        properties = functions.resolved(said.get("Properties", {}), scope)
        changed = differing(there.properties, properties) if there else []
        if there is None or KINDS[there.kind].fixed & set(changed):
            self._create(name, said, properties)
        elif changed:
            self._settle(name, there, properties)

    def _create(self, name: str, said: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
        kind, account = KINDS[said["Type"]], self._stack.account
        physical = named(kind, properties) or made_up(self._stack.name, name)
        keep = said.get("DeletionPolicy") in KEEPS
        coming = Made(said["Type"], physical, properties, {}, keep)
        self._stack.tell(name, coming, "CREATE_IN_PROGRESS")
        before = self._stack.made.get(name)

        def make() -> None:
            adopted = self._adopt(self._stack, said["Type"], physical)
            if not adopted:
                kind.create(account, physical, properties)
                self._undo.append(lambda: self._undone(name, coming, said.get("DeletionPolicy", "")))
            self._undo.append(lambda: self._put_back(name, before))
            kind.settle(account, physical, properties, {})
            tells = kind.tells(account, physical, properties)
            self._stack.made[name] = Made(said["Type"], physical, properties, tells, keep or adopted)

        self._attempt("CREATE", name, coming, make)
        if before is not None:
            self._replaced.append((name, before))

    def _settle(self, name: str, there: Made, properties: Mapping[str, Any]) -> None:
        kind, account = KINDS[there.kind], self._stack.account

        def change() -> None:
            self._undo.append(lambda: kind.settle(account, there.name, there.properties, properties))
            self._undo.append(lambda: self._put_back(name, there))
            kind.settle(account, there.name, properties, there.properties)
            tells = kind.tells(account, there.name, properties)
            self._stack.made[name] = Made(there.kind, there.name, properties, tells, there.keep)

        self._stack.tell(name, there, "UPDATE_IN_PROGRESS")
        self._attempt("UPDATE", name, there, change)

    def _attempt(self, verb: str, name: str, made: Made, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:
            self._failed = name
            self._stack.tell(name, made, f"{verb}_FAILED", reason_of(error))
            raise
        self._stack.tell(name, made, f"{verb}_COMPLETE")

    def _put_back(self, name: str, before: Made | None) -> None:
        self._stack.made.pop(name, None)
        if before is not None:
            self._stack.made[name] = before

    def _undone(self, name: str, made: Made, policy: str) -> None:
        # Source: docs.aws.amazon.com, "DeletionPolicy attribute": Retain keeps what a creation failed with.
        if policy == "Retain":
            self._stack.tell(name, made, "DELETE_SKIPPED")
        else:
            self._take_away(name, made)

    def _take_away(self, name: str, made: Made) -> None:
        self._stack.tell(name, made, "DELETE_IN_PROGRESS")
        KINDS[made.kind].delete(self._stack.account, made.name, made.properties)
        self._stack.tell(name, made, "DELETE_COMPLETE")

    def _roll_back(self, verb: str) -> None:
        state = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
        done = "create" if verb == "CREATE" else "update"
        why = f"The following resource(s) failed to {done}: [{self._failed}]. Rollback requested by user."
        self._stack.turn(f"{state}_IN_PROGRESS", why)
        reasons = []
        for undo in reversed(self._undo):
            try:
                undo()
            except (Failed, ClientError, BotoCoreError) as error:
                reasons.append(reason_of(error))
        self._stack.turn(f"{state}_{'FAILED' if reasons else 'COMPLETE'}", "; ".join(reasons))

    def _clean_up(self) -> None:
        """Take away what was replaced and what the plan has no more; one that fails is told, and left."""
        scope = self._scope()
        gone = [name for name in self._stack.made if not self._is_there(name, scope)]
        for name, made in [*self._replaced, *((name, self._stack.made.pop(name)) for name in reversed(gone))]:
            self._remove(name, made)

    def _is_there(self, name: str, scope: Scope) -> bool:
        return name in self._plan.template.resources and self._is_wanted(name, scope)

    def _remove(self, name: str, made: Made) -> None:
        if made.keep:
            self._stack.tell(name, made, "DELETE_SKIPPED")
            return
        try:
            self._take_away(name, made)
        except (Failed, ClientError, BotoCoreError) as error:
            self._stack.tell(name, made, "DELETE_FAILED", reason_of(error))

    def _outputs(self) -> list[dict[str, str]]:
        scope, found = self._scope(), []
        for name, said in self._plan.template.outputs.items():
            if "Condition" not in said or functions.holds(said["Condition"], scope):
                value = str(functions.resolved(said["Value"], scope))
                described = {"Description": said["Description"]} if "Description" in said else {}
                found.append({"OutputKey": name, "OutputValue": value, **described})
        return found

    def _scope(self) -> Scope:
        names = {**self._stack.pseudo(), **self._plan.values}
        return Scope(names, lambda name: self._told(name, "Ref"), self._told, self._plan.template)

    def _told(self, name: str, attribute: str) -> str:
        made = self._stack.made.get(name)
        if made is None or attribute not in made.tells:
            raise Failed(f"Template error: {name} has no attribute {attribute}")
        return made.tells[attribute]


def delete(stack: Stack) -> None:
    """Take away all that the stack made, but for what is kept; its state says how it ended."""
    failed = []
    for name, made in list(reversed(stack.made.items())):
        if made.keep:
            stack.tell(name, made, "DELETE_SKIPPED")
        else:
            stack.tell(name, made, "DELETE_IN_PROGRESS")
            try:
                KINDS[made.kind].delete(stack.account, made.name, made.properties)
            except (Failed, ClientError, BotoCoreError) as error:
                stack.tell(name, made, "DELETE_FAILED", reason_of(error))
                failed.append(name)
                continue
            stack.tell(name, made, "DELETE_COMPLETE")
        del stack.made[name]
    if failed:
        stack.turn("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
    else:
        stack.turn("DELETE_COMPLETE")


def reason_of(error: Exception) -> str:
    """The service's refusal as CloudFormation's events tell it."""
    if not isinstance(error, ClientError):
        return str(error)
    said, metadata = error.response["Error"], error.response.get("ResponseMetadata", {})
    status, request = metadata.get("HTTPStatusCode", 400), metadata.get("RequestId", uuid.uuid4())
    code = "AlreadyExists" if "Exist" in said.get("Code", "") else "GeneralServiceException"
    return (
        f'Resource handler returned message: "{said.get("Message", "")} (Service: {error.operation_name}, '
        f'Status Code: {status}, Request ID: {request})" '
        f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})"
    )
