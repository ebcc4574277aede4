"""What a run found, as plain data: results.json is this; the table, the goals and the plot are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Window:
    """One server under one load: rate in answers a second, microseconds of CPU (all its processes) an answer.

    `foreign` is the share of the machine that others used meanwhile.
    """

    connections: int
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    cpu_us: float
    foreign: float


@dataclass(frozen=True)
class Run:
    """A server in one workload: `failure` says why there are no windows, or why there are fewer.

    `cold_s` is the quickest from process start to the first answer; `memory_mb` the largest PSS of the tree.
    """

    server: str
    kind: str
    workload: str
    windows: tuple[Window, ...] = ()
    cold_s: float = 0.0
    memory_mb: float = 0.0
    failure: str = ""

    @property
    def answered(self) -> bool:
        """Whether it has a rate to be compared."""
        return any(window.rate for window in self.windows)

    def at(self, connections: int) -> Window | None:
        """Its window at that many connections, where it answered at all."""
        return next((one for one in self.windows if one.connections == connections and one.rate), None)


@dataclass(frozen=True)
class Bare:
    """The bare loop in that many processes, at the batch size that was best."""

    workload: str
    processes: int
    batch_size: int
    rate: float
    cpu_us: float
    foreign: float


@dataclass(frozen=True)
class Loading:
    """The quickest of starting Python, importing what the handler imports, and loading the model."""

    workload: str
    seconds: float


@dataclass(frozen=True)
class Results:
    """All of one run, on a machine with that many cores, in windows of that many seconds."""

    cores: int
    seconds: int
    runs: tuple[Run, ...]
    bare: tuple[Bare, ...]
    loading: tuple[Loading, ...]

    def of(self, workload: str) -> list[Run]:
        return [run for run in self.runs if run.workload == workload]

    def run(self, server: str, workload: str) -> Run | None:
        """That server's row, where it was measured."""
        found = [run for run in self.of(workload) if run.server == server and run.answered]
        return found[0] if found else None

    def loading_s(self, workload: str) -> float | None:
        return next((one.seconds for one in self.loading if one.workload == workload), None)

    def best_bare(self, workload: str) -> Bare | None:
        """The faster of the bare loops."""
        return max(
            (one for one in self.bare if one.workload == workload), key=lambda one: one.rate, default=None
        )


def write(results: Results, path: Path) -> None:
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def read(path: Path) -> Results:
    """What `write` wrote."""
    found = json.loads(path.read_text())
    return Results(
        cores=found["cores"],
        seconds=found["seconds"],
        runs=tuple(_run(run) for run in found["runs"]),
        bare=tuple(Bare(**one) for one in found["bare"]),
        loading=tuple(Loading(**one) for one in found["loading"]),
    )


def _run(found: Mapping[str, object]) -> Run:
    windows = found["windows"]
    assert isinstance(windows, list)
    fields = {**found, "windows": tuple(Window(**window) for window in windows)}
    return Run(**fields)  # type: ignore[arg-type]  # as asdict wrote them
