"""Cloud Storage's preconditions, which gcp_storage_emulator does not know. Pure.

Source: cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Each with the object's field that it looks at, and whether it must be equal.
_CONDITIONS = {
    "ifGenerationMatch": ("generation", True),
    "ifGenerationNotMatch": ("generation", False),
    "ifMetagenerationMatch": ("metageneration", True),
    "ifMetagenerationNotMatch": ("metageneration", False),
}
FAILED = "At least one of the pre-conditions you specified did not hold."


def of(query: Mapping[str, str]) -> dict[str, str]:
    """The preconditions among a request's parameters."""
    return {name: query[name] for name in _CONDITIONS if name in query}


def broken(conditions: Mapping[str, str], current: Mapping[str, Any] | None) -> str:
    """The first condition that the object breaks, "" where all hold; `current` is None where there is none.

    Generation 0 is that of an object that is not there.
    """
    for name, value in conditions.items():
        field, equal = _CONDITIONS[name]
        if (str(current[field] if current else 0) == value) != equal:
            return name
    return ""
