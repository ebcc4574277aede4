"""The names of what an answer's time is made of. Pure.

PHASES are those that the runtime tells (inference/serving/counting/board.py); the network is the rest of the
whole. Of an answer that comes in pieces they are those until the first, and STREAM is what comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping

WHOLE, FIRST, NETWORK, STREAM = "whole", "first", "network", "stream"
PHASES = ("queue", "decode", "preprocess", "predict", "postprocess", "encode")
MEASURED = (WHOLE, FIRST, NETWORK, *PHASES, STREAM)
# What is there of answers that come in pieces alone.
OF_STREAMS = (FIRST, STREAM)
# The three parts of serving latency, and the way there and back.
PARTS: Mapping[str, tuple[str, ...]] = {
    "on the way": (NETWORK, "queue"),
    "data input time": ("decode", "preprocess"),
    "model time": ("predict",),
    "correction of the result": ("postprocess", "encode"),
    "pieces after the first": (STREAM,),
}


def wrong_budget(budget: Mapping[str, object]) -> list[str]:
    """What is wrong with a table of milliseconds by phase, a sentence for each mistake."""
    return [text for name, limit in budget.items() if (text := _wrong(name, limit))]


def _wrong(name: str, limit: object) -> str:
    if name not in MEASURED:
        return f"{name!r} is no phase, expected one of {', '.join(MEASURED)}"
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float("inf"):
        return f"{name} is {limit!r}, expected milliseconds above 0, such as 20"
    return ""
