"""What SageMaker's own service model says of a request, checked and answered in SageMaker's words.

boto3 checks types, required members and minima before it sends, and leaves maxima, patterns and enumerations
to the service; other callers check nothing, and moto leaves it all out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.session import get_session

from infra.local.errors import AwsError

NOUNS = {
    "string": "Member must have length",
    "list": "Member must have length",
    "map": "Member must have length",
    "integer": "Member must have value",
    "long": "Member must have value",
    "float": "Member must have value",
    "double": "Member must have value",
}
# JSON's types for the service model's; a number that is none of an integer's is told apart below.
TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


@cache
def service() -> ServiceModel:
    """SageMaker's control plane as botocore's pinned release describes it."""
    return get_session().get_service_model("sagemaker")


def check(operation: str, request: dict[str, Any]) -> None:
    """Raises the ValidationException that SageMaker answers where a member breaks its constraint.

    A member of another type is its SerializationException, in words of ours.
    """
    shape = _operation(operation).input_shape
    found = list(_violations(shape, request, "")) if shape else []
    if found:
        count = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
        raise AwsError(400, "ValidationException", f"{count} detected: " + "; ".join(found))


def _operation(name: str) -> OperationModel:
    return service().operation_model(name)


def _must_be_of_type(shape: Shape, value: Any, place: str) -> None:
    types = TYPES.get(shape.type_name)
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        raise AwsError(
            400,
            "SerializationException",
            f"{place or 'the request'}: expected type {shape.type_name}, not {_shown(value)[:100]!r}",
        )


def _violations(shape: Shape, value: Any, place: str) -> Iterator[str]:
    _must_be_of_type(shape, value, place)
    broken = list(_rules_broken(shape, value))
    for rule in broken:
        shown = "Value" if shape.metadata.get("sensitive") else f"Value '{_shown(value)}'"
        yield f"{shown} at '{place}' failed to satisfy constraint: {rule}"
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        yield from _in_structure(shape, value, place)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for number, member in enumerate(value, start=1):
            yield from _violations(shape.member, member, f"{place}.{number}.member")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        yield from _in_map(shape, value, place)


def _in_structure(shape: StructureShape, value: dict[str, Any], place: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inside = f"{place}.{_camel(name)}" if place else _camel(name)
        if value.get(name) is not None:
            yield from _violations(member, value[name], inside)
        elif name in shape.required_members:
            yield f"Value null at '{inside}' failed to satisfy constraint: Member must not be null"


def _in_map(shape: MapShape, value: dict[str, Any], place: str) -> Iterator[str]:
    for part, members in (("keys", value.keys()), ("value", value.values())):
        member = shape.key if part == "keys" else shape.value
        for given in members:
            _must_be_of_type(member, given, place)
        if any(list(_rules_broken(member, given)) for given in members):
            rules = ", ".join(_rules_of(member))
            shown = f"Value '{_shown(value)}' at '{place}' failed to satisfy constraint"
            yield f"{shown}: Map {part} must satisfy constraint: [{rules}]"


def _rules_broken(shape: Shape, value: Any) -> Iterator[str]:
    rules = shape.metadata
    size = _size(shape, value)
    noun = NOUNS.get(shape.type_name)
    if noun and size is not None and "max" in rules and size > rules["max"]:
        yield f"{noun} less than or equal to {rules['max']}"
    if noun and size is not None and "min" in rules and size < rules["min"]:
        yield f"{noun} greater than or equal to {rules['min']}"
    if isinstance(value, str) and not _matches(rules.get("pattern"), value):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"
    if isinstance(value, str) and rules.get("enum") and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"


def _rules_of(shape: Shape) -> Iterator[str]:
    noun = NOUNS.get(shape.type_name, "Member must have length")
    if "max" in shape.metadata:
        yield f"{noun} less than or equal to {shape.metadata['max']}"
    if "min" in shape.metadata:
        yield f"{noun} greater than or equal to {shape.metadata['min']}"
    if "pattern" in shape.metadata:
        yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def _size(shape: Shape, value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) and NOUNS.get(shape.type_name, "").endswith("value"):
        return value
    return len(value) if isinstance(value, str | list | dict) else None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    # The service's patterns are Java's: one that Python cannot read (\p{ASCII}) is not checked here.
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _matches(pattern: str | None, value: str) -> bool:
    compiled = _compiled(pattern) if pattern else None
    return compiled is None or compiled.fullmatch(value) is not None


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_shown(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(member) for member in value) + "]"
    return str(value)
