"""What a check found, as lines for a person: steps with what came of them, and what is wrong below. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.checking.findings import Finding

Text = tuple[str, str]  # a line and its style
_COLOURS = {"error": "bold red", "warning": "yellow"}
_MOST_LINES = 40  # of a traceback


@dataclass(frozen=True)
class Step:
    """One thing that was tried, and what came of it. `state` is ok, warning or failed."""

    name: str
    told: str
    state: str = "ok"


_MARKS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def table(steps: Sequence[Step]) -> Iterator[Text]:
    """The steps, one a line."""
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        yield f"  {step.state:8}{step.name:{width}}  {step.told}", _MARKS[step.state]


def findings(found: Sequence[Finding]) -> Iterator[Text]:
    """Each finding in two lines: where and what it is, and what to do."""
    for one in sorted(found, key=lambda finding: finding.severity):
        yield f"{one.severity}: {one.place}: {one.value}", _COLOURS[one.severity]
        yield f"    -> {one.fix}", ""


def traceback(lines: Sequence[str]) -> Iterator[Text]:
    """The container's own words: the first lines and the last, where there are many."""
    shown = list(lines)
    if len(shown) > _MOST_LINES:
        left_out = f"… {len(shown) - _MOST_LINES} lines …"
        shown = [*shown[: _MOST_LINES // 4], left_out, *shown[-_MOST_LINES * 3 // 4 :]]
    for line in shown:
        yield f"  {line}", "dim"


def counted(found: Sequence[Finding]) -> str:
    """How many of each kind, such as "1 error and 2 warnings"; "" for none."""
    kinds = [(kind, sum(one.severity == kind for one in found)) for kind in ("error", "warning")]
    return " and ".join(f"{number} {kind}{'s' * (number > 1)}" for kind, number in kinds if number)
