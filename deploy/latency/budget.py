"""The times that deploy.toml allows, held against those that were measured, and what helps. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy.latency.parts import FIRST, OF_STREAMS, PARTS, STREAM
from deploy.latency.shares import AT, Row

HELD_AT = 95
REMEDIES: Mapping[str, str] = {
    "network": (
        "call from a nearer region, or deploy to one near the callers ([aws] or [gcp] region); send less "
        "(CSV or npy in place of JSON)"
    ),
    "queue": (
        "more replicas ([aws] instance_count, [gcp] min_replicas) or processes ([serving] workers), "
        "or a shorter [serving] max_delay_ms"
    ),
    "decode": "a content type that is read faster: application/x-npy or text/csv in place of JSON",
    "preprocess": (
        "features computed ahead, in training or in a store that the callers read, and all instances of "
        "a batch at once, without a loop"
    ),
    "predict": (
        "[serving] cache for requests that come again, a bigger [serving] max_batch_size where many come "
        "together, or a lighter model"
    ),
    "postprocess": (
        "all predictions of a batch at once, without a loop, and what does not depend on the prediction "
        "computed ahead"
    ),
    "stream": "fewer and larger pieces, where each costs a step of the model, or a lighter model",
    "encode": "a lighter output: fewer fields and digits, or another content type (ACCEPT=application/x-npy)",
}

NOT_KNOWN = "where it went is not known, since the endpoint told no phases"


def broken(rows: Sequence[Row], budget: Mapping[str, float]) -> list[str]:
    """A sentence for each phase that takes longer at p95 than it may, or that nobody could measure."""
    measured = {row.name: row for row in rows if row.name not in PARTS}
    return [text for name, limit in budget.items() if (text := _broken(measured, name, limit))]


def exceeds(row: Row, budget: Mapping[str, float]) -> bool:
    """Whether the phase has a budget and takes longer."""
    return row.name in budget and row.ms[AT.index(HELD_AT)] > budget[row.name]


def _broken(measured: Mapping[str, Row], name: str, limit: float) -> str:
    place = f"deploy.toml: [latency] budget: {name}"
    if name not in measured:
        why = "no answer came in pieces" if name in OF_STREAMS else "the endpoint told no phases"
        return f"{place} could not be held against anything, since {why}"
    row = measured[name]
    if not exceeds(row, {name: limit}):
        return ""
    taken = f"{place} took {row.ms[AT.index(HELD_AT)]:.2f} ms at p{HELD_AT}, expected at most {limit:g}"
    return f"{taken}: {REMEDIES.get(name) or _remedy(measured, name)}"


def _remedy(measured: Mapping[str, Row], name: str) -> str:
    """That of the phase in which most of the whole went, or of the time until the first piece."""
    at = AT.index(HELD_AT)
    phases = [row for other in REMEDIES if (row := measured.get(other)) and (name, other) != (FIRST, STREAM)]
    if not phases:
        return NOT_KNOWN
    most = max(phases, key=lambda row: row.shares[at])
    share = "most" if name == FIRST else f"{most.shares[at]:.0%}"
    return f"{share} of it is {most.name}: {REMEDIES[most.name]}"
