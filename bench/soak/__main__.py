"""python -m bench.soak: load for as long as is asked, and whether memory and file descriptors stay level.

Ours is asked by callers that are good, bad and gone; two handlers that leak are asked the same, and the same
measure must find them. Exit status 0 only where ours is level, every answer was what it must be, and both
leaks were found.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.soak import callers, mixes
from bench.soak.callers import Lap, Tally
from bench.soak.levels import MOST_BYTES, MOST_DESCRIPTORS, Sample, Trend, trend
from bench.soak.servers import Running, serving

_MIB = 2**20
_LEAST_REQUESTS = 500  # in a lap: on a slow machine a few would be too few to see anything


@dataclass(frozen=True)
class Subject:
    """A handler, what it is asked, and what it leaks: "" where it must stay level."""

    handler: str
    mix: Sequence[mixes.Kind]
    leak: str = ""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.handler}, leaking {self.leak}" if self.leak else self.handler


@dataclass(frozen=True)
class Plan:
    """So many callers for each server, for laps of so many seconds, and of some requests at least.

    After each lap the server is looked at, at rest; before the first one it has `warm_up` requests, in which
    its pools and the interpreter's fill.
    """

    callers: int
    laps: int
    seconds: float
    warm_up: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What became of a subject."""

    subject: Subject
    samples: list[Sample]
    tally: Tally
    trend: Trend

    @property
    def as_promised(self) -> bool:
        """Whether it is level if it should be, and is not if it leaks; every answer as it must be."""
        return self.trend.level == (not self.subject.leak) and not self.tally.wrong


OURS = (Subject("plain", mixes.PLAIN), Subject("streaming", mixes.STREAMED))
CONTROLS = (
    Subject("plain", mixes.PLAIN, leak="memory"),
    Subject("plain", mixes.PLAIN, leak="descriptors"),
)


def main(arguments: Sequence[str]) -> int:
    """Soak ours, then the controls; the status to exit with."""
    options = _parser().parse_args(arguments)
    kept = True
    for subjects, minutes in ((OURS, options.minutes), (CONTROLS, options.control_minutes)):
        for outcome in asyncio.run(_together(subjects, _plan(options, minutes))):
            kept &= outcome.as_promised
            print(_told(outcome), flush=True)
    print("every promise is kept" if kept else "not every promise is kept")
    return 0 if kept else 1


async def _together(subjects: Sequence[Subject], plan: Plan) -> list[Outcome]:
    """All of them at the same time."""
    with contextlib.ExitStack() as ends:
        started = [ends.enter_context(serving(one.handler, one.leak)) for one in subjects]
        pairs = zip(subjects, started, strict=True)
        return await asyncio.gather(*(_soaked(subject, running, plan) for subject, running in pairs))


async def _soaked(subject: Subject, running: Running, plan: Plan) -> Outcome:
    """Ask and look, in turns."""
    rng, tally = Random(plan.seed), Tally()
    samples: list[Sample] = []
    lap = Lap(running.port, subject.mix, plan.callers, plan.seconds, _LEAST_REQUESTS)
    await callers.run(replace(lap, seconds=0, requests=plan.warm_up), tally, rng)
    for number in range(plan.laps):
        await callers.run(lap, tally, rng)
        samples.append(await running.at_rest(tally.made.total()))
        _show(subject, number, samples[-1])
    return Outcome(subject, samples, tally, trend(samples))


def _show(subject: Subject, number: int, sample: Sample) -> None:
    print(
        f"{subject.name:26} lap {number + 1:3}: {sample.requests:9,} requests, "
        f"{sample.memory / _MIB:7.2f} MB, {sample.descriptors:4} descriptors",
        file=sys.stderr,
        flush=True,
    )


def _told(outcome: Outcome) -> str:
    found, subject = outcome.trend, outcome.subject
    lines = [
        f"{subject.name}: {outcome.samples[-1].requests:,} requests; "
        f"{found.bytes_per_request:+,.0f} bytes a request, {found.descriptors:+} descriptors: "
        f"{'level' if found.level else 'it grows'}, "
        f"{'as promised' if found.level == (not subject.leak) else 'NOT AS PROMISED'}"
    ]
    lines += [f"  {count} times {what}" for what, count in outcome.tally.wrong.most_common(5)]
    return "\n".join(lines)


def _plan(options: argparse.Namespace, minutes: float) -> Plan:
    laps = max(6, min(60, int(minutes * 60 / options.least_lap)))
    return Plan(options.callers, laps, minutes * 60 / laps, options.warm_up, options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Ten minutes of load: do memory and file descriptors stay level?",
        epilog=f"Level is less than {MOST_BYTES:g} bytes a request and no more than {MOST_DESCRIPTORS} "
        "further descriptors.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="for ours (10)")
    parser.add_argument("--control-minutes", type=float, default=1, help="for the two that leak (1)")
    parser.add_argument("--callers", type=int, default=16, help="at once, for each server (16)")
    parser.add_argument(
        "--least-lap", type=float, default=0.5, help="seconds between two looks, at least (0.5)"
    )
    parser.add_argument("--warm-up", type=int, default=5000, help="requests before the first look (5000)")
    parser.add_argument("--seed", type=int, default=1, help="of the callers' dice (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
