"""A run as Markdown: figures, ratios, goals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.serving.goals import BUSY, SHIPPED, best_rate, goals
from bench.serving.processes import QUIET
from bench.serving.results import Bare, Results, Run, Window


def table(results: Results) -> str:
    """The whole of it."""
    workloads = dict.fromkeys(run.workload for run in results.runs)
    parts = [part for workload in workloads for part in _workload(results, workload)]
    return "\n\n".join([_head(results), *parts, _goals(results)]) + "\n"


def _head(results: Results) -> str:
    return (
        f"# Serving, on {results.cores} cores\n\n"
        f"Windows of {results.seconds} s of wrk's closed loop on the same cores. A star: others used more "
        f"than {QUIET:.0%} of the machine meanwhile. Compare within this run alone."
    )


def _workload(results: Results, workload: str) -> list[str]:
    runs = sorted(results.of(workload), key=lambda run: -best_rate(run) if run.windows else 0)
    figures = [f"## {workload}", _figures(runs), *_limits(results, workload)]
    ratios = _ratios(results, workload, runs)
    return [*figures, ratios] if ratios else figures


def _figures(runs: Sequence[Run]) -> str:
    counts = _counts(runs)
    heads = ["server", *(f"{count} conn.: answers/s (p50 / p95 / p99 ms)" for count in counts)]
    heads += ["errors", "CPU µs an answer", "memory MB", "cold start s"]
    return _rows(heads, (_figure(run, counts) for run in runs))


def _figure(run: Run, counts: Sequence[int]) -> list[str]:
    if not run.windows:
        return [run.server, run.failure]
    cells = [_cell(run.at(count)) for count in counts]
    costs = run.at(BUSY) or run.windows[-1]  # where 32 were not asked for, the most that were
    errors = str(sum(window.errors for window in run.windows))
    return [run.server, *cells, errors, f"{costs.cpu_us:,.0f}", f"{run.memory_mb:,.0f}", f"{run.cold_s:.2f}"]


def _cell(window: Window | None) -> str:
    if window is None:
        return "-"
    star = "*" if window.foreign > QUIET else ""
    return f"{window.rate:,.0f}{star} ({window.p50_ms:.1f} / {window.p95_ms:.1f} / {window.p99_ms:.1f})"


def _limits(results: Results, workload: str) -> list[str]:
    lines = [_bare(one) for one in results.bare if one.workload == workload]
    loading = results.loading_s(workload)
    if loading is not None:
        lines.append(f"- importing what the handler imports and loading the model: {loading:.2f} s")
    return ["\n".join(lines)] if lines else []


def _bare(one: Bare) -> str:
    many = "es" if one.processes > 1 else ""
    star = "*" if one.foreign > QUIET else ""
    return (
        f"- bare loop, {one.processes} process{many}, batches of {one.batch_size}: "
        f"{one.rate:,.0f}{star} rows/s, {one.cpu_us:,.0f} µs of CPU a row"
    )


def _ratios(results: Results, workload: str, runs: Sequence[Run]) -> str:
    """How many times each other's rate ours is."""
    own = results.run(SHIPPED, workload)
    others = [run for run in runs if run.answered and run.server != SHIPPED]
    if own is None or not others:
        return ""
    counts = _counts(runs)
    heads = ["slipway's rate, times that of", *(f"{count} conn." for count in counts)]
    rows = [[run.server, *(_ratio(own.at(count), run.at(count)) for count in counts)] for run in others]
    return _rows(heads, rows)


def _ratio(own: Window | None, other: Window | None) -> str:
    return f"{own.rate / other.rate:.2f}" if own and other and other.rate else "-"


def _goals(results: Results) -> str:
    rows = [
        [goal.what, f"{goal.found:.2f}", f"{'at most' if goal.below else 'at least'} {goal.bound:g}"]
        + ["yes" if goal.met else "no"]
        for goal in goals(results)
    ]
    return "## Goals\n\n" + _rows(["what", "found", "goal", "met"], rows)


def _counts(runs: Sequence[Run]) -> list[int]:
    return sorted({window.connections for run in runs for window in run.windows})


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([*row, *[""] * (len(heads) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
