"""The phases as stacked bars, in a PNG. Needs matplotlib, which nothing else here does."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from deploy.latency import LatencyError
from deploy.latency.parts import PARTS, WHOLE
from deploy.latency.shares import AT, Row

# A family of colours for each part: greys, greens, blue, oranges, violet.
COLOURS = {
    "whole": "#9aa0a6",
    "network": "#9aa0a6",
    "queue": "#c9ccd1",
    "decode": "#8fc49b",
    "preprocess": "#3f9155",
    "predict": "#2f6fb5",
    "postprocess": "#d9822b",
    "encode": "#f0b97d",
    "stream": "#7d6bb0",
}


def check(path: Path) -> None:
    """Raise LatencyError now, before anything was asked, if a plot could not be drawn later."""
    if importlib.util.find_spec("matplotlib") is None:
        raise LatencyError(
            "a plot needs matplotlib: .venv/bin/python -m pip install -c constraints.txt matplotlib"
        )
    if path.suffix != ".png":
        raise LatencyError(f"{path}: expected a name that ends in .png")
    if not path.parent.is_dir():
        raise LatencyError(f"{path}: there is no folder {path.parent}")


def bars(rows: Sequence[Row]) -> dict[str, list[float]]:
    """For each phase the heights of its segments, in milliseconds: its shares of the whole at each of AT."""
    whole, phases = rows[0], [row for row in rows if row.shares and row.name not in PARTS]
    if not phases:
        return {WHOLE: list(whole.ms)}
    return {row.name: [share * ms for share, ms in zip(row.shares, whole.ms, strict=True)] for row in phases}


def draw(rows: Sequence[Row], title: str, path: Path) -> None:
    """Write the picture."""
    from matplotlib.figure import Figure  # costs half a second, and only who asks for a plot has it

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    names = [f"p{at}" for at in AT]
    below = [0.0] * len(AT)
    for phase, heights in bars(rows).items():
        axes.bar(names, heights, bottom=below, label=phase, color=COLOURS[phase], width=0.6)
        below = [one + other for one, other in zip(below, heights, strict=True)]
    axes.set_ylabel("milliseconds")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=150)
