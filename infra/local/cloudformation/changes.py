"""What would change: two plans compared, resource by resource; no service is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.local.cloudformation import functions
from infra.local.cloudformation.functions import Scope
from infra.local.cloudformation.resources import KINDS
from infra.local.cloudformation.stacks import Plan, Stack
from infra.local.cloudformation.templates import canonical

Change = dict[str, Any]


def wanted(stack: Stack, plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Each resource's properties, in the order in which they can be made.

    What another resource tells stands as a mark, which differs where that resource will be another one.
    """
    found: dict[str, Mapping[str, Any]] = {}

    def mark(resource: str, attribute: str = "Ref") -> str:
        there = stack.made.get(resource)
        if there is None or (resource in found and _replaced(there.kind, there.properties, found[resource])):
            return f"{{{{{resource}.{attribute}: new}}}}"
        return there.tells.get(attribute, "")

    scope = Scope({**stack.pseudo(), **plan.values}, mark, mark, plan.template)
    for name in functions.in_order(plan.template):
        said = plan.template.resources[name]
        if "Condition" not in said or functions.holds(said["Condition"], scope):
            found[name] = functions.resolved(said.get("Properties", {}), scope)
    return found


def between(stack: Stack, plan: Plan) -> list[Change]:
    """The changes, as DescribeChangeSet has them."""
    found = wanted(stack, plan)
    changes = [_added(name, plan) for name in found if name not in stack.made]
    for name, properties in found.items():
        if name in stack.made and canonical(stack.made[name].properties) != canonical(properties):
            changes.append(_modified(stack, name, properties))
    removed = [name for name in stack.made if name not in found]
    return changes + [_removed(stack, name) for name in removed]


def _added(name: str, plan: Plan) -> Change:
    kind = plan.template.resources[name]["Type"]
    return _change({"Action": "Add", "LogicalResourceId": name, "ResourceType": kind})


def _modified(stack: Stack, name: str, properties: Mapping[str, Any]) -> Change:
    there = stack.made[name]
    fixed = KINDS[there.kind].fixed
    changed = differing(there.properties, properties)
    details = [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": one,
                "RequiresRecreation": "Always" if one in fixed else "Never",
            },
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for one in changed
    ]
    return _change(
        {
            "Action": "Modify",
            "LogicalResourceId": name,
            "PhysicalResourceId": there.name,
            "ResourceType": there.kind,
            "Replacement": str(_replaced(there.kind, there.properties, properties)),
            "Scope": ["Properties"],
            "Details": details,
        }
    )


def _removed(stack: Stack, name: str) -> Change:
    there = stack.made[name]
    return _change(
        {
            "Action": "Remove",
            "LogicalResourceId": name,
            "PhysicalResourceId": there.name,
            "ResourceType": there.kind,
        }
    )


def _change(resource: Change) -> Change:
    return {"Type": "Resource", "ResourceChange": {"Scope": [], "Details": [], **resource}}


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The properties that are not the same."""
    return sorted(
        key
        for key in {*old, *new}
        if canonical(old.get(key)) != canonical(new.get(key)) or (key in old) != (key in new)
    )


def _replaced(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return bool(KINDS[kind].fixed & set(differing(old, new)))
