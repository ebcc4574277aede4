"""The wildcards and variables of policies: `*`, `?`, `${aws:username}`. Pure.

Source: IAM user guide, reference_policies_elements_resource and reference_policies_variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

# Every value of a condition key that a request has, by the key in lower case.
Context = Mapping[str, tuple[str, ...]]

_TOKEN = re.compile(r"\$\{([^}]*)\}|\*|\?|[^*?$]+|\$")
_LITERALS = {"*", "?", "$"}
_ARN_PARTS = 6


def like(pattern: str, value: str, context: Context) -> bool:
    """Whether the value is of that pattern; never where it has a variable that the request does not have."""
    written = _written(pattern, context)
    return written is not None and re.fullmatch(written, value, re.DOTALL) is not None


def like_arn(pattern: str, arn: str, context: Context) -> bool:
    """The same, of ARNs: a wildcard does not reach over the colon that ends one of the first five parts.

    A pattern of fewer parts is of nothing.
    """
    parts, others = _arn_parts(pattern), _arn_parts(arn)
    if parts[0] != "arn" or others[0] != "arn":
        return like(pattern, arn, context)
    if len(parts) != len(others):
        return False
    return all(like(part, other, context) for part, other in zip(parts, others, strict=True))


def equal(pattern: str, value: str, context: Context) -> bool:
    """Whether the value is that text once its variables are filled in."""
    return filled(pattern, context) == value


def like_action(pattern: str, action: str) -> bool:
    """Whether the action (`s3:GetObject`) is meant by the pattern (`S3:Get*`)."""
    return _plain(pattern.lower()).fullmatch(action.lower()) is not None


def filled(pattern: str, context: Context) -> str | None:
    """The pattern with its variables' values; None where the request does not have one of them."""
    found = [_value(token, context) for token in _TOKEN.finditer(pattern)]
    return None if None in found else "".join(part for part in found if part is not None)


def variables(pattern: str) -> Iterator[str]:
    """The condition keys that the pattern names as variables, in lower case."""
    for token in _TOKEN.finditer(pattern):
        if token[1] is not None and token[1] not in _LITERALS:
            yield _key(token[1])


def _arn_parts(arn: str) -> list[str]:
    # A variable has colons of its own: ${aws:username}.
    parts: list[str] = []
    depth = start = 0
    for at, character in enumerate(arn):
        depth += (character == "{") - (character == "}")
        if character == ":" and depth == 0 and len(parts) < _ARN_PARTS - 1:
            parts.append(arn[start:at])
            start = at + 1
    return [*parts, arn[start:]]


@lru_cache(4096)
def _plain(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern))


def _written(pattern: str, context: Context) -> str | None:
    if "$" not in pattern:
        return _plain(pattern).pattern
    found = []
    for token in _TOKEN.finditer(pattern):
        value = _value(token, context)
        if value is None:
            return None
        found.append({"*": ".*", "?": "."}.get(token[0], re.escape(value)))
    return "".join(found)


def _value(token: re.Match[str], context: Context) -> str | None:
    name = token[1]
    if name is None:
        return token[0]
    if name in _LITERALS:
        return name
    values = context.get(_key(name), ())
    if len(values) == 1:
        return values[0]
    _, comma, default = name.partition(",")
    return default.strip().strip("'") if comma and not values else None


def _key(name: str) -> str:
    return name.partition(",")[0].strip().lower()
