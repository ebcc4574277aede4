"""A template: read, and its parameters' values held against what it says of them. Pure.

What CloudFormation has and this does not know is refused by name: macros, mappings, rules, nested stacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from infra.local.errors import AwsError

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Conditions",
    "Resources",
    "Outputs",
}
ATTRIBUTES = {
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
}
TYPES = ("String", "Number", "CommaDelimitedList")


@dataclass(frozen=True)
class Template:
    """What a template says, section by section; `body` is its text."""

    body: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of functions, and with dates as the text that they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short)


def parse(body: str) -> Template:
    """The template. Raises AwsError ValidationError for what is none, and for what is not done here."""
    whole = _loaded(body)
    if unknown := set(whole) - SECTIONS:
        raise invalid(f"The local cloud does not know the template's {', '.join(sorted(unknown))}")
    resources = whole.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        _check_resource(name, resource)
    return Template(
        body,
        str(whole.get("Description", "")),
        whole.get("Parameters") or {},
        whole.get("Conditions") or {},
        resources,
        whole.get("Outputs") or {},
    )


def _loaded(body: str) -> dict[str, Any]:
    try:
        # The loader is a safe one: it makes plain values alone.
        whole = yaml.load(body, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {error}") from error
    if not isinstance(whole, dict):
        raise invalid("Template format error: unsupported structure.")
    return whole


def _check_resource(name: str, resource: Any) -> None:
    if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
        raise invalid(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    if unknown := set(resource) - ATTRIBUTES:
        raise invalid(f"Invalid template resource property '{min(unknown)}'")


def values(template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Each parameter's value: what is given, else its default. Raises AwsError ValidationError."""
    if strangers := given.keys() - template.parameters.keys():
        raise invalid(f"Parameters: [{', '.join(sorted(strangers))}] do not exist in the template")
    defaults = {name: said["Default"] for name, said in template.parameters.items() if "Default" in said}
    if missing := template.parameters.keys() - defaults.keys() - given.keys():
        raise invalid(f"Parameters: [{', '.join(sorted(missing))}] must have values")
    chosen = {name: str(given.get(name, defaults.get(name))) for name in template.parameters}
    return {name: _value(name, template.parameters[name], text) for name, text in chosen.items()}


def _value(name: str, said: Mapping[str, Any], text: str) -> Any:
    kind = said.get("Type", "String")
    if kind not in TYPES:
        raise invalid(f"The local cloud does not know parameters of type {kind}, expected one of {TYPES}")
    if "AllowedPattern" in said and not re.fullmatch(said["AllowedPattern"], text):
        raise invalid(f"Parameter '{name}' must match pattern {said['AllowedPattern']}")
    if "AllowedValues" in said and text not in [str(one) for one in said["AllowedValues"]]:
        raise invalid(f"Parameter '{name}' must be one of AllowedValues")
    if kind == "Number":
        _check_number(name, said, text)
    return [one.strip() for one in text.split(",")] if kind == "CommaDelimitedList" else text


def _check_number(name: str, said: Mapping[str, Any], text: str) -> None:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        raise invalid(f"Parameter '{name}' must be a number.")
    if "MinValue" in said and float(text) < said["MinValue"]:
        raise invalid(f"Parameter '{name}' must be a number not less than {said['MinValue']}")
    if "MaxValue" in said and float(text) > said["MaxValue"]:
        raise invalid(f"Parameter '{name}' must be a number not greater than {said['MaxValue']}")


def canonical(value: Any) -> str:
    """Equal text for equal values."""
    return json.dumps(value, sort_keys=True)


def invalid(message: str) -> AwsError:
    """CloudFormation's refusal of what was asked."""
    return AwsError(400, "ValidationError", message)
