"""Two answers to the same request, compared field by field. Pure.

JSON, JSON Lines and CSV are read, and numbers may be as far apart as the tolerance says; all else is text, or
bytes, that must be the same. An answer that came in pieces is compared as what the pieces come to.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.sections.release import Tolerance
from deploy.target import Answer

MISSING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One field that is another; `place` says where it stands, such as predictions[0].score."""

    place: str
    old: str
    new: str
    by: float | None = None  # of numbers, how far they are apart

    def __str__(self) -> str:
        apart = f" ({self.by:+.6g})" if self.by is not None else ""
        return f"{self.place}: {self.old} -> {self.new}{apart}"


def between(old: Answer, new: Answer, tolerance: Tolerance) -> list[Difference]:
    """What the new answer has otherwise, in the order of the answer."""
    if _kind(old) != _kind(new):
        return [Difference("content type", old.content_type or MISSING, new.content_type or MISSING)]
    return list(_compared(_read(old), _read(new), tolerance, ""))


def _kind(answer: Answer) -> str:
    return answer.content_type.partition(";")[0].strip().lower()


def _read(answer: Answer) -> Any:
    """The answer's value: of JSON what it says, of CSV its rows, else the text or the bytes."""
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return answer.body
    try:
        return _READERS.get(_kind(answer), str)(text)
    except (ValueError, csv.Error):
        return text


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _rows(text: str) -> list[Any]:
    return [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text))]


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


_READERS: dict[str, Callable[[str], Any]] = {
    "application/json": json.loads,
    "application/jsonlines": _lines,
    "application/x-ndjson": _lines,
    "text/csv": _rows,
}


def _compared(old: Any, new: Any, tolerance: Tolerance, place: str) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            within = f"{place}.{key}" if place else str(key)
            yield from _held(old, new, key, (tolerance, within))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _held(
                dict(enumerate(old)), dict(enumerate(new)), index, (tolerance, f"{place}[{index}]")
            )
    elif _is_number(old) and _is_number(new):
        if not _near(old, new, tolerance):
            yield Difference(place or "answer", _shown(old), _shown(new), _apart(old, new))
    elif type(old) is not type(new) or old != new:
        yield Difference(place or "answer", _shown(old), _shown(new))


def _held(old: Any, new: Any, key: Any, how: tuple[Tolerance, str]) -> Iterator[Difference]:
    """What differs at that key of two mappings, either of which may lack it."""
    tolerance, place = how
    if key in old and key in new:
        yield from _compared(old[key], new[key], tolerance, place)
    else:
        one, other = (_shown(held[key]) if key in held else MISSING for held in (old, new))
        yield Difference(place, one, other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near(old: float, new: float, tolerance: Tolerance) -> bool:
    if old == new or (old != old and new != new):  # NaN is like NaN
        return True
    apart = _apart(old, new)
    if apart is None or not math.isfinite(apart):
        return False
    return abs(apart) <= max(tolerance.absolute, tolerance.relative * abs(old))


def _apart(old: float, new: float) -> float | None:
    try:
        return float(new - old)
    except OverflowError:  # whole numbers of JSON have no end
        return None


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
