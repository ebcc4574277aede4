"""What a check has to say: a place, what is there, and the one thing to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something wrong. An `error` would fail on the platform or is not safe there; a `warning` may be meant.

    `place` is a file of the project, with its line where there is one; `value` is what was found; `fix` is
    what to do, in the imperative.
    """

    severity: Literal["error", "warning"]
    place: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.place}: {self.value}: {self.fix}"


def error(place: str, value: str, fix: str) -> Finding:
    return Finding("error", place, value, fix)


def warning(place: str, value: str, fix: str) -> Finding:
    return Finding("warning", place, value, fix)


def errors(findings: list[Finding]) -> list[Finding]:
    """Those that stop a deploy."""
    return [finding for finding in findings if finding.severity == "error"]
