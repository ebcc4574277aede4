"""Which of the rows is worth serving. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inference.serving.optimize.answers import shown
from inference.serving.optimize.rows import Row

# A gain below this is within what two measurements differ by, and not worth another model.
WORTH = 1.05


@dataclass(frozen=True)
class Choice:
    """The row that is to serve, None where the model itself is, and the sentence that says why."""

    row: Row | None
    why: str


def choose(rows: Sequence[Row], cosine: float, asked: Collection[str]) -> Choice:
    """The fastest whose answers are near enough; those of `asked` only where somebody asks for them."""
    tried = [row for row in rows if not row.failure]
    near = [row for row in tried if is_near(row, cosine) and row.kind not in asked and row.forks]
    best = max(near, key=lambda row: row.times, default=None)
    if best is not None and best.times >= WORTH:
        return Choice(best, f"{best.kind} is chosen: {told(best)}")
    faster = [row for row in tried if row.times >= WORTH]
    reason = (
        f"{best.kind} is {best.times:.2f} times as fast, and below {WORTH:g} it is not worth it"
        if best is not None
        else "none of the variants answers as the model does"
        if tried
        else "no variant could be made"
    )
    others = [row.kind for row in faster if row is not best]
    hint = f"; CHOOSE=name takes one all the same ({', '.join(others)})" if others else ""
    return Choice(None, f"the model stays as it is: {reason}{hint}")


def named(row: Row, cosine: float) -> Choice:
    """The one that a person asked for by its name, with what speaks against it."""
    if row.failure:
        return Choice(None, f"{row.kind} cannot be made: {row.failure}")
    against = [] if is_near(row, cosine) else [f"its answers are not within a cosine of {cosine:g}"]
    against += [] if row.forks else ["workers cannot share it"]
    doubt = f" although {' and '.join(against)}" if against else ""
    return Choice(row, f"{row.kind} is chosen, as asked for,{doubt}: {told(row)}".replace(",:", ":"))


def is_near(row: Row, cosine: float) -> bool:
    """Whether the answers are the model's own, as far as was asked for."""
    return row.difference is not None and row.difference.cosine >= cosine and row.difference.equal == 1


def told(row: Row) -> str:
    """What a row is worth, in a sentence for the log and the plan."""
    assert row.difference is not None
    return (
        f"{row.times:.2f} times as fast as the model itself (at batch size {row.batch_size}), "
        f"cosine of its answers at least {shown(row.difference.cosine)}"
    )
