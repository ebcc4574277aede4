"""The figures of a run as one picture: a column for each workload, rates above, p99 below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.serving.results import Results

_WIDTH, _HEIGHT = 5.0, 4.0
_STYLES = {"ours": "-o", "variant": "--o", "optimized": "-.o", "peer": "-s", "limit": ":^"}


def draw(results: Results, path: Path) -> None:
    """Write the picture. ModuleNotFoundError where there is no matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(run.workload for run in results.runs if run.windows))
    figure, axes = pyplot.subplots(
        2, max(1, len(names)), figsize=(_WIDTH * max(1, len(names)), 2 * _HEIGHT), squeeze=False
    )
    for column, name in enumerate(names):
        _rates(axes[0][column], results, name)
        _latencies(axes[1][column], results, name)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _rates(axis: Any, results: Results, workload: str) -> None:
    _lines(axis, results, workload, "rate")
    bare = results.best_bare(workload)
    if bare:
        axis.axhline(bare.rate, linestyle=":", color="black", label="bare loop")
    axis.set(title=workload, ylabel="answers a second")
    axis.legend(fontsize="x-small")


def _latencies(axis: Any, results: Results, workload: str) -> None:
    _lines(axis, results, workload, "p99_ms")
    axis.set(ylabel="p99, ms", xlabel="connections")


def _lines(axis: Any, results: Results, workload: str, figure: str) -> None:
    for run in results.of(workload):
        if run.windows:
            values = [getattr(window, figure) for window in run.windows]
            counts = [window.connections for window in run.windows]
            axis.plot(counts, values, _STYLES[run.kind], label=run.server)
    counts = sorted({window.connections for run in results.of(workload) for window in run.windows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(counts, map(str, counts))
    axis.set_yscale("log")
