"""Which of many items fail a step that takes them together: halved, until the bad ones stand alone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from inference.serving.errors import Refusal

# What a step takes many of and gives as many of; it raises a Refusal where it does not.
Step = Callable[[Any], Sequence[Any]]


def tried(step: Step, items: Sequence[Any]) -> Sequence[Any]:
    """What the step gives for each item; a Refusal where it gives none even for that item alone."""
    try:
        return step(items)
    except Refusal as refusal:
        return halved(step, items, refusal)


def halved(step: Step, items: Sequence[Any], refusal: Refusal) -> list[Any]:
    """As tried, for items that the step has refused together."""
    if len(items) == 1:
        return [refusal]
    middle = len(items) // 2
    return [*tried(step, items[:middle]), *tried(step, items[middle:])]


def good(items: Any) -> Any:
    """The items without the refusals among them."""
    if not isinstance(items, list):  # an array holds no refusals
        return items
    return [item for item in items if not isinstance(item, Refusal)]


def in_place(items: Any, results: Sequence[Any]) -> Sequence[Any]:
    """The results of the good items, and the refusals where they stood among them."""
    if len(results) == len(items):
        return results
    those = iter(results)
    return [item if isinstance(item, Refusal) else next(those) for item in items]
