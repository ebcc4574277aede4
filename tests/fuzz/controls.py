"""Targets with a mistake in them, which must be found."""

from __future__ import annotations

from tests.fuzz.target import Target


def crash(data: bytes) -> None:
    """A decoder with a mistake behind four comparisons: chance alone does not come so far."""
    if len(data) > 5 and data[0] == 0x53 and data[1] == 0x4C and data[2] == 0x49 and data[3] == 0x50:
        raise ZeroDivisionError("the planted mistake")


def hang(data: bytes) -> None:
    """A decoder that does not end for one input in four."""
    while data and data[0] < 64:
        pass


CONTROLS = {"planted": Target(crash, [b"nothing"]), "planted-hang": Target(hang, [b"nothing"])}
