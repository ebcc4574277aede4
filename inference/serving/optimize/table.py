"""The rows as a table for a terminal of any width. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from inference.serving.optimize.answers import shown
from inference.serving.optimize.rows import Row

_HEAD = ("variant", "times", "per s", "batch", "MB", "start s", "cosine", "largest", "equal")


def table(rows: Sequence[Row]) -> str:
    """One line a row, and below them what the columns are and what was noted."""
    lines = [_HEAD, *(_cells(row) for row in rows if not row.failure)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    text = [_line(cells, widths) for cells in lines]
    text += [f"{row.kind:{widths[0]}}  -  {row.failure}" for row in rows if row.failure]
    text += ["", *_notes(rows), *_LEGEND]
    return "\n".join(text)


_LEGEND = (
    "times: of the model's own instances a second, each at its best batch size; per s: instances a second of",
    "one core; start s: until the first answers; cosine (of single numbers: 1 - difference/largest), largest",
    "difference of a number, share of equal texts and classes: against the model's answers to the samples",
)


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = [f"{row.kind}: {row.note}" for row in rows if row.note]
    return notes + [
        f"{row.kind}: workers cannot share it" for row in rows if not row.failure and not row.forks
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    assert row.difference is not None
    largest = row.difference.largest
    return (
        row.kind,
        f"{row.times:.2f}",
        f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:.1f}",
        str(row.batch_size),
        f"{row.size / 1e6:,.1f}",
        f"{row.start_s:.1f}",
        shown(row.difference.cosine),
        f"{largest:.1e}" if largest else "0",
        f"{row.difference.equal:.0%}",
    )
