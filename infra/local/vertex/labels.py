"""What Google takes for labels. Pure.

Source: cloud.google.com/resource-manager/docs/labels-overview, "Requirements for labels"
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.local.vertex.errors import invalid

MOST = 64
CHARACTERS, BYTES = 63, 128


def check(labels: Mapping[str, str], field: str) -> None:
    """Raises GoogleError INVALID_ARGUMENT, naming the field, for what would be refused there."""
    if len(labels) > MOST:
        raise invalid(f"A resource has at most {MOST} labels: {len(labels)}.", field)
    for key, value in labels.items():
        if not (key[:1].isalpha() and _fits(key)):
            raise invalid(f"Invalid label key: {key!r}.", field)
        if not _fits(value):
            raise invalid(f"Invalid label value: {value!r} (of {key!r}).", field)


def _fits(text: str) -> bool:
    small = all(one in "_-" or (one.isalnum() and one == one.lower()) for one in text)
    return small and len(text) <= CHARACTERS and len(text.encode()) <= BYTES
