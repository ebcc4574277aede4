"""The verb's stages: ask, tell, draw, hold against the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import terminal
from deploy.latency import LatencyError, plot, shares, table
from deploy.latency import budget as budgets
from deploy.latency.replay import Call, Replayed, replay
from deploy.target import Request


@dataclass(frozen=True)
class Order:
    """What to post, how often each, how many at once, and the picture that is wanted, if any."""

    requests: Sequence[Request]
    times: int
    at_once: int
    plot: Path | None = None


def measure(call: Call, order: Order, budget: Mapping[str, float]) -> None:
    """Replay the requests and show where the time of the answers went.

    LatencyError for a broken budget and for requests without an answer; KeyboardInterrupt after Ctrl-C, when
    what there is was shown.
    """
    if order.plot:
        plot.check(order.plot)
    replayed = _asked(call, order)
    if not replayed.answers:
        _fail(replayed, [])
    rows = shares.rows(replayed.answers)
    terminal.line(_headline(replayed, order))
    for text, style in table.lines(replayed.answers, rows, budget):
        terminal.line(text, style)
    if order.plot:
        plot.draw(rows, _headline(replayed, order), order.plot)
        terminal.line(f"plot: {order.plot}")
    _fail(replayed, budgets.broken(rows, budget))


def _asked(call: Call, order: Order) -> Replayed:
    timed = [replace(request, timed=True) for request in order.requests]
    first = replay(call, timed[:1] * order.at_once, order.at_once, lambda done, state: None)
    if first.stopped:
        raise KeyboardInterrupt
    if first.failures:
        raise first.failures[0]
    total = len(timed) * order.times
    with terminal.counting(f"ask {total:,} times, {order.at_once} at once", total) as count:
        return replay(call, timed * order.times, order.at_once, count)


def _headline(replayed: Replayed, order: Order) -> str:
    rate = len(replayed.answers) / replayed.seconds
    return f"{len(replayed.answers):,} answers, {order.at_once} at once, {rate:,.1f} a second"


def _fail(replayed: Replayed, broken: Sequence[str]) -> None:
    """Raise what the run comes to, if it did not go well."""
    done = len(replayed.answers)
    if replayed.stopped:
        raise KeyboardInterrupt(
            f"stopped: what is shown is of the {done:,} answers before it" if done else ""
        )
    failures = len(replayed.failures)
    if failures:
        unanswered = f"{failures:,} of {done + failures:,} requests were not answered: {replayed.failures[0]}"
        broken = [*broken, unanswered]
    if broken:
        raise LatencyError("\n".join(broken))
