"""What /metrics shows, in Prometheus' text form, of all workers of the server together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from inference.serving.counting.board import OTHER, PHASES, SECONDS, SIZES, Board, Slot

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_CACHE = {
    "hits": ("slipway_cache_hits", "Answers that came from a cache."),
    "misses": ("slipway_cache_misses", "Answers that were in no cache."),
    "shared_hits": ("slipway_shared_cache_hits", "Answers that came from the shared cache."),
    "shared_misses": ("slipway_shared_cache_misses", "Looks at the shared cache that found no answer."),
    "shared_failures": ("slipway_shared_cache_failures", "Looks that it did not answer in time, or at all."),
    "shared_unkept": ("slipway_shared_cache_unkept", "Answers that it did not take."),
}
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


def text(board: Board) -> bytes:
    """Everything, as Prometheus reads it."""
    # In a registry of our own: the handler may use prometheus_client as well.
    registry = CollectorRegistry()
    registry.register(_Shown(board))
    return generate_latest(registry)


class _Shown(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Any]:
        yield self._phases()
        yield self._batches()
        yield self._requests()
        yield from self._gauges()
        yield from self._cache()
        yield from _processes([int(slot.pid) for slot in self._board.slots if slot.pid])

    def _phases(self) -> HistogramMetricFamily:
        told = "Time that requests spent in each phase of an answer."
        family = HistogramMetricFamily("slipway_phase_seconds", told, labels=["phase"])
        for phase in PHASES:
            *counts, total = self._summed(lambda slot, phase=phase: slot.phase(phase))  # type: ignore[misc]
            family.add_metric([phase], _buckets(SECONDS, counts), total)
        return family

    def _batches(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily("slipway_batch_requests", "Requests that shared one call of predict.")
        *counts, total = self._summed(Slot.batches)
        family.add_metric([], _buckets(SIZES, counts), total)
        return family

    def _requests(self) -> CounterMetricFamily:
        told = "Requests to the predict route, by HTTP status (499: the client left before its answer)."
        family = CounterMetricFamily("slipway_requests", told, labels=["status"])
        found: dict[int, float] = {}
        for slot in self._board.slots:
            for status, count in slot.statuses().items():
                found[status] = found.get(status, 0.0) + count
        for status, count in sorted(found.items()):
            family.add_metric(["other" if status == OTHER else str(status)], count)
        return family

    def _gauges(self) -> Iterator[GaugeMetricFamily]:
        told = "Requests on the predict route that are not answered yet."
        yield GaugeMetricFamily("slipway_in_flight", told, self._board.in_flight())
        yield GaugeMetricFamily(
            "slipway_queue_waiting", "Requests that wait for a model.", self._board.waiting()
        )
        ready = sum(slot.ready for slot in self._board.slots)
        yield GaugeMetricFamily("slipway_workers_ready", "Processes that answer requests.", ready)

    def _cache(self) -> Iterator[CounterMetricFamily]:
        for field, (name, told) in _CACHE.items():
            yield CounterMetricFamily(name, told, sum(getattr(slot, field) for slot in self._board.slots))

    def _summed(self, read: Callable[[Slot], Sequence[float]]) -> list[float]:
        return [sum(numbers) for numbers in zip(*map(read, self._board.slots), strict=True)]


def _buckets(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


def _processes(pids: Sequence[int]) -> Iterator[Any]:
    """Memory, file descriptors and CPU time of the workers, added up; nothing where there is no /proc."""
    memory = files = seconds = 0.0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            place = Path(f"/proc/{pid}")
            memory += int((place / "statm").read_text().split()[1]) * _PAGE
            files += len(os.listdir(place / "fd"))  # noqa: PTH208 - names alone, which is quicker
            spent = (place / "stat").read_text().rpartition(")")[2].split()
            seconds += (int(spent[11]) + int(spent[12])) / _TICK
    if memory:
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory of all workers.", memory)
        yield GaugeMetricFamily("process_open_fds", "Open file descriptors of all workers.", files)
        yield CounterMetricFamily("process_cpu_seconds", "CPU time of all workers.", seconds)
