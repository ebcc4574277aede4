"""Targets by their names."""

from __future__ import annotations

from tests.fuzz.controls import CONTROLS
from tests.fuzz.target import Target


def find(name: str) -> Target:
    """The target of that name, or KeyError. The readers are imported only where one of them is asked for."""
    if name in CONTROLS:
        return CONTROLS[name]
    from tests.fuzz import targets  # imports numpy and pyarrow

    return (targets.TARGETS | targets.SHORT)[name]
