"""What the runtime told of one answer, in either of the forms that it has for it. Pure.

inference/serving/online/timing.py writes them. On its way a header may have gained entries of others, such as
a content network's own `cache` or Google's front end's time: what is not ours is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.latency.parts import PHASES

ASKED = "slipway-timing"  # the custom attribute, and the header, of who wants to be told
_VALUE = r"([0-9]+(?:\.[0-9]+)?|hit|miss)"
_ENTRY = re.compile(rf'\b([a-z]+)\s*;\s*(?:dur|desc)="?{_VALUE}\b')
_ATTRIBUTE = re.compile(rf"\b([a-z]+)={_VALUE}\b")


@dataclass(frozen=True)
class Told:
    """Milliseconds by phase, the requests that shared a call of the handler, and whether none was made.

    An answer that the cache gave (`hit`) has no phases, and its `batch` is 0.
    """

    phases: Mapping[str, float]
    batch: int
    hit: bool


def by_header(text: str) -> Told | None:
    """What a Server-Timing header says; None where the runtime's own entries are not in it."""
    return _read(_ENTRY.findall(text))


def by_attributes(text: str) -> Told | None:
    """The same of SageMaker's CustomAttributes."""
    return _read(_ATTRIBUTE.findall(text)) if ASKED in text.split(",") else None


def _read(pairs: Iterable[tuple[str, str]]) -> Told | None:
    found = dict(pairs)
    batch, cache = found.get("batch", ""), found.get("cache", "")
    if not batch.isdigit() or cache not in ("hit", "miss"):
        return None
    numbers = {name: found[name] for name in PHASES if name in found}
    phases = {name: float(text) for name, text in numbers.items() if text not in ("hit", "miss")}
    return Told(phases, int(batch), cache == "hit")
