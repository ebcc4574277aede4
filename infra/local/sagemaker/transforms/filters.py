"""The JSONPath of InputFilter and OutputFilter: read once, applied to each record. Pure.

Source: SageMaker's developer guide, batch-transform-data-processing, Supported JSONPath Operators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"\.([^.\[\]*'\"\s,]+)")
_WILDCARD = re.compile(r"\.\*|\.?\[\*\]")
_BRACKET = re.compile(r"\.?\[([^\[\]]*)\]")
_QUOTED = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\")\s*(?:,|$)")
_POSITION = re.compile(r"\s*(-?\d+)\s*$")
_RANGE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*$")


class FilterError(ValueError):
    """An expression cannot be read, or a record lacks what it names; the message says which."""


@dataclass(frozen=True)
class Names:
    """Members of an object: the value of one, or an object of several."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Places:
    """Members of an array: the value of one index, or an array of several and of ranges."""

    places: tuple[int | tuple[int | None, int | None], ...]

    @property
    def is_single(self) -> bool:
        """Whether it names one value, not an array of values."""
        return len(self.places) == 1 and isinstance(self.places[0], int)


@dataclass(frozen=True)
class Every:
    """The wildcard: each member of an object or an array."""


Step = Names | Places | Every
Path = tuple[Step, ...]  # from the root; empty is the whole record


def parse(text: str) -> Path:
    """The steps of an expression such as `$`, `$.a.b`, `$[1:]`, `$['id','SageMakerOutput']`, `$[0,5:]`.

    Raises FilterError for anything beyond SageMaker's operators, and for a step after several names, which
    SageMaker does not support.
    """
    if not text.startswith("$"):
        raise FilterError(f"{text!r} must begin with $")
    path: list[Step] = []
    at = 1
    while at < len(text):
        if path and isinstance(path[-1], Names) and len(path[-1].names) > 1:
            raise FilterError(f"{text!r}: nothing may follow several names")
        step, at = _step(text, at)
        path.append(step)
    return tuple(path)


def select(path: Path, value: Any) -> Any:
    """The part of the value that the path names. Raises FilterError where it is not there."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, Names):
        found = {name: _member(value, name) for name in step.names}
        return found if len(found) > 1 else select(rest, found[step.names[0]])
    if isinstance(step, Every):
        return [select(rest, one) for one in _members(value)]
    if step.is_single:
        return select(rest, next(_chosen(value, step)))
    return [select(rest, one) for one in _chosen(value, step)]


def suits_rows(path: Path) -> bool:
    """Whether it can be applied to CSV, where a record is an array of texts."""
    return len(path) <= 1 and not any(isinstance(step, Names) for step in path)


def _step(text: str, at: int) -> tuple[Step, int]:
    if match := _WILDCARD.match(text, at):
        return Every(), match.end()
    if match := _NAME.match(text, at):
        return Names((match[1],)), match.end()
    if match := _BRACKET.match(text, at):
        inside = match[1]
        step = _names(inside) if inside.lstrip()[:1] in ("'", '"') else _places(inside)
        if step is not None:
            return step, match.end()
    raise FilterError(f"{text!r}: {text[at:]!r} is no operator of SageMaker's JSONPath")


def _names(inside: str) -> Names | None:
    found, at = [], 0
    while at < len(inside):
        match = _QUOTED.match(inside, at)
        if match is None:
            return None
        found.append(match[1] if match[1] is not None else match[2])
        at = match.end()
    return None if inside.rstrip().endswith(",") else Names(tuple(dict.fromkeys(found)))


def _places(inside: str) -> Places | None:
    found: list[int | tuple[int | None, int | None]] = []
    for part in inside.split(","):
        if match := _POSITION.match(part):
            found.append(int(match[1]))
        elif match := _RANGE.match(part):
            start, end = (int(group) if group else None for group in match.groups())
            found.append((start, end))
        else:
            return None
    return Places(tuple(found))


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise FilterError(f"the record has no {name!r}")
    return value[name]


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    raise FilterError("the record has neither names nor indexes where the filter has *")


def _chosen(value: Any, step: Places) -> Iterator[Any]:
    if not isinstance(value, list):
        raise FilterError("the record is no array where the filter has an index")
    for place in step.places:
        if isinstance(place, tuple):
            yield from value[slice(*place)]
        elif -len(value) <= place < len(value):
            yield value[place]
        else:
            raise FilterError(f"index {place} is outside of the record's {len(value)} values")
