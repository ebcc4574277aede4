"""What the runtime is to reach (README.md beside this has the list), held against a run. Pure.

Every goal is a ratio within one run, or a difference to a limit of the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.serving.results import Results, Run, Window

SHIPPED, LIMITS, RECEIVING = "slipway", ("echo-1", "echo-2"), "socket-loop"
BUSY = 32  # connections


@dataclass(frozen=True)
class Goal:
    """`found` is to be at least `bound`, or at most, where `below`."""

    what: str
    found: float
    bound: float
    below: bool = False

    @property
    def met(self) -> bool:
        return self.found <= self.bound if self.below else self.found >= self.bound


def goals(results: Results) -> list[Goal]:
    """Every goal that this run can tell about."""
    parts = (_tiny, _encoder, _image, _cache, _start, _memory)
    return [goal for part in parts for goal in part(results)]


def best_rate(run: Run) -> float:
    """The most that a server did, at whatever number of connections."""
    return max(window.rate for window in run.windows)


def _tiny(results: Results) -> Iterator[Goal]:
    own = _window(results, SHIPPED, BUSY)
    peers = [window for run in _peers(results, "tiny") if (window := run.at(BUSY))]
    echoes = [window for name in LIMITS if (window := _window(results, name, BUSY))]
    if own and peers:
        best = max(peer.rate for peer in peers)
        yield Goal("tiny, 32 connections: times the best peer's rate", own.rate / best, 6)
        least = min(peer.cpu_us for peer in peers)
        yield Goal(
            "tiny, 32 connections: of the least CPU a request of a peer", own.cpu_us / least, 0.25, True
        )
        quickest = min(peer.p50_ms for peer in peers)
        yield Goal("tiny, 32 connections: p99, of the peers' lowest p50", own.p99_ms / quickest, 1, True)
    if own and echoes:
        limit = max(echo.rate for echo in echoes)
        yield Goal("tiny, 32 connections: of the faster echo's rate", own.rate / limit, 0.6)
    alone = _window(results, SHIPPED, 1)
    quiet = [window for name in LIMITS if (window := _window(results, name, 1))]
    if alone and quiet:
        added = alone.p50_ms - min(echo.p50_ms for echo in quiet)
        yield Goal("tiny, 1 connection: ms above the echo at the median", added, 0.3, True)


def _encoder(results: Results) -> Iterator[Goal]:
    yield from _of_bare(results, "encoder", 0.9)
    own = results.run(SHIPPED, "encoder")
    peers = _peers(results, "encoder")
    if own and peers:
        best = max(map(best_rate, peers))
        yield Goal("encoder: times the best peer's rate", best_rate(own) / best, 1.2)
    lighter = [run for run in results.of("encoder") if run.kind == "optimized" and run.answered]
    for run in lighter if own else ():
        assert own is not None
        yield Goal(f"encoder: {run.server}, times slipway's rate", best_rate(run) / best_rate(own), 1.5)


def _image(results: Results) -> Iterator[Goal]:
    yield from _of_bare(results, "image", 0.85)
    own, receiving = results.run(SHIPPED, "image"), results.run(RECEIVING, "image")
    if own and receiving:
        rate = best_rate(own) / best_rate(receiving)
        yield Goal("image: of the bare loop's rate where it receives its pictures", rate, 0.85)


def _of_bare(results: Results, workload: str, bound: float) -> Iterator[Goal]:
    own, bare = results.run(SHIPPED, workload), results.best_bare(workload)
    if own and bare:
        yield Goal(f"{workload}: of the bare loop's rate", best_rate(own) / bare.rate, bound)


def _cache(results: Results) -> Iterator[Goal]:
    without, cached = results.run(SHIPPED, "zipf"), results.run(f"{SHIPPED}-cache", "zipf")
    if without and cached:
        yield Goal("zipf: with a cache, times the rate without", best_rate(cached) / best_rate(without), 3)


def _start(results: Results) -> Iterator[Goal]:
    for loading in results.loading:
        own = results.run(SHIPPED, loading.workload)
        if own:
            what = f"{loading.workload}: cold start, of importing and loading alone"
            yield Goal(what, own.cold_s / loading.seconds, 1.3, True)


def _memory(results: Results) -> Iterator[Goal]:
    for workload in dict.fromkeys(run.workload for run in results.runs):
        own, litserve = results.run(SHIPPED, workload), results.run("litserve", workload)
        if own and litserve:
            yield Goal(f"{workload}: of LitServe's memory", own.memory_mb / litserve.memory_mb, 1, True)


def _peers(results: Results, workload: str) -> list[Run]:
    return [run for run in results.of(workload) if run.kind == "peer" and run.answered]


def _window(results: Results, server: str, connections: int) -> Window | None:
    run = results.run(server, "tiny")
    return run.at(connections) if run else None
