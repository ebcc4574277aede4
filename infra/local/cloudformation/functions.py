"""The functions of a template (Ref, Fn::GetAtt, Fn::Sub, Fn::If and a few more), and its conditions. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.cloudformation.templates import Template, invalid

NO_VALUE = object()
# ${Name} and ${Name.Attribute}; ${!Literal} is text.
_PLACE = re.compile(r"\$\{(!?)([^}]+)\}")
_DONE = ("Ref", "Condition", "Fn::GetAtt", "Fn::Sub", "Fn::If", "Fn::Join", "Fn::Select", "Fn::Split")


@dataclass(frozen=True)
class Scope:
    """What names stand for: parameters and pseudo parameters, and what resources tell of themselves."""

    names: Mapping[str, Any]
    refer: Callable[[str], str]  # a resource's Ref
    attribute: Callable[[str, str], str]
    template: Template

    def value(self, name: str) -> Any:
        """What Ref of this name gives."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.names:
            return self.names[name]
        if name in self.template.resources:
            return self.refer(name)
        raise invalid(f"Template format error: Unresolved resource dependencies [{name}]")


def resolved(value: Any, scope: Scope) -> Any:
    """The value with each function in it done."""
    if isinstance(value, list):
        return [one for one in (resolved(item, scope) for item in value) if one is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, argument), *_ = value.items()
        # In a policy, Condition is a key like any other.
        if name in _DONE and not (name == "Condition" and isinstance(argument, dict)):
            return _done(name, argument, scope)
        if name.startswith("Fn::"):
            raise invalid(f"The local cloud does not know {name}, expected one of {', '.join(_DONE)}")
    found = {key: resolved(item, scope) for key, item in value.items()}
    return {key: item for key, item in found.items() if item is not NO_VALUE}


def _done(name: str, argument: Any, scope: Scope) -> Any:
    match name:
        case "Ref":
            return scope.value(argument)
        case "Fn::GetAtt":
            return _attribute(argument, scope)
        case "Fn::Sub":
            return _substituted(argument, scope)
        case "Fn::If":
            condition, then, otherwise = argument
            return resolved(then if holds(condition, scope) else otherwise, scope)
        case "Condition":
            return holds(argument, scope)
        case _:
            return _listed(name, resolved(argument, scope))


def _attribute(argument: list[str], scope: Scope) -> str:
    resource, attribute = argument
    if resource not in scope.template.resources:
        raise invalid(f"Template error: instance of Fn::GetAtt references undefined resource {resource}")
    return scope.attribute(resource, attribute)


def _listed(name: str, argument: list[Any]) -> Any:
    if name == "Fn::Join":
        return argument[0].join(str(one) for one in argument[1])
    if name == "Fn::Split":
        return argument[1].split(argument[0])
    return argument[1][int(argument[0])]


def _substituted(argument: Any, scope: Scope) -> str:
    text, own = (argument, {}) if isinstance(argument, str) else argument
    own = {name: resolved(value, scope) for name, value in own.items()}

    def put(place: re.Match[str]) -> str:
        literal, name = place[1], place[2]
        if literal:
            return f"${{{name}}}"
        if name in own:
            return str(own[name])
        resource, dot, attribute = name.partition(".")
        return str(_attribute([resource, attribute], scope) if dot else scope.value(name))

    return _PLACE.sub(put, text)


def holds(condition: str, scope: Scope) -> bool:
    """Whether the template's condition of that name is true."""
    if condition not in scope.template.conditions:
        raise invalid(f"Template format error: Unresolved condition dependency {condition}")
    return _true(scope.template.conditions[condition], scope)


def _true(said: Any, scope: Scope) -> bool:
    (name, argument), *_ = said.items()
    match name:
        case "Condition":
            return holds(argument, scope)
        case "Fn::Equals":
            left, right = (resolved(side, scope) for side in argument)
            return str(left) == str(right)
        case "Fn::Not":
            return not _true(argument[0], scope)
        case "Fn::And":
            return all(_true(one, scope) for one in argument)
        case "Fn::Or":
            return any(_true(one, scope) for one in argument)
    raise invalid(f"The local cloud does not know the condition {name}")


def references(value: Any) -> set[str]:
    """Every name that the value refers to."""
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for key, item in value.items() if key != "Ref" for name in references(item)}
    if isinstance(value.get("Ref"), str):
        found.add(value["Ref"])
    if "Fn::GetAtt" in value:
        found.add(value["Fn::GetAtt"][0])
    if "Fn::Sub" in value:
        text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
        found |= {place[2].partition(".")[0] for place in _PLACE.finditer(text) if not place[1]}
    return found


def in_order(template: Template) -> list[str]:
    """The resources, each behind those that it refers to. Raises AwsError where they go in a circle."""
    needs = {
        name: {*references(said.get("Properties")), *_depends(said)} & template.resources.keys()
        for name, said in template.resources.items()
    }
    order: list[str] = []
    while len(order) < len(needs):
        free = [name for name in needs if name not in order and needs[name] <= set(order)]
        if not free:
            circle = ", ".join(name for name in needs if name not in order)
            raise invalid(f"Circular dependency between resources: [{circle}]")
        order += free
    return order


def _depends(said: Mapping[str, Any]) -> list[str]:
    named = said.get("DependsOn", [])
    return [named] if isinstance(named, str) else list(named)
