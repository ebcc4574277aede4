"""Which content types are read and written, and what an Accept header asks for. Pure.

Source: RFC 9110 sections 8.3 and 12.5.1; RFC 4180 for text/csv's header parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from inference.serving.errors import NotAcceptable, UnsupportedMediaType, shown

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
PARQUET = "application/vnd.apache.parquet"
EVENT_STREAM = "text/event-stream"
FORMATS = (JSON, JSON_LINES, CSV, NPY)
WRITTEN = {name: name for name in FORMATS} | {
    "application/x-jsonlines": JSON_LINES,
    "application/jsonl": JSON_LINES,
}
# Read, and never written: an answer to it is JSON Lines, unless Accept says otherwise.
_READ_ONLY = {PARQUET: PARQUET, "application/x-parquet": PARQUET}
READ = WRITTEN | _READ_ONLY
_LISTED = ", ".join(FORMATS)
_CHARSETS = {"utf-8", "utf8", "us-ascii"}
# Far above what anybody sends; of what a header may have room for, reading takes part of a second.
_LONGEST = 4096


@dataclass(frozen=True)
class ContentType:
    """A body's format, and for text/csv whether its first row holds the column names."""

    format: str
    header: bool = False


@dataclass(frozen=True)
class Accepted:
    """The format to answer in, under the name that the caller used for it."""

    format: str
    name: str


@lru_cache(maxsize=256)
def content_type(value: str) -> ContentType:
    """What a Content-Type header says; UnsupportedMediaType where we do not read that."""
    name, parameters = _parsed(value[:_LONGEST])
    if name not in READ or len(value) > _LONGEST:
        raise UnsupportedMediaType(
            f"Content-Type: {shown(value)} is not read here; expected one of {_LISTED}, {PARQUET}"
        )
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in _CHARSETS:
        raise UnsupportedMediaType(f"Content-Type: charset {shown(charset)} is not read here; expected utf-8")
    return ContentType(READ[name], header=READ[name] == CSV and _has_header(parameters))


@lru_cache(maxsize=256)
def accepted(value: str, default: str) -> Accepted:
    """The best format that an Accept header allows; `default`, a body's own format, wins where it leaves the
    choice to us, or JSON Lines where nothing is written in that.

    Among formats of the same quality the one named first wins. NotAcceptable lists what is possible.
    """
    default = JSON_LINES if default in _READ_ONLY else default
    if len(value) > _LONGEST:
        raise NotAcceptable(f"Accept: {shown(value)} has {len(value)} characters; expected up to {_LONGEST}")
    ranges = [_range(part) for part in value.split(",") if part.strip()] or [("*/*", 1.0)]
    best: tuple[float, int, bool] | None = None
    choice = Accepted(default, default)
    for name, written_as in WRITTEN.items():
        place, quality = _match(name, ranges)
        rank = (quality, -place, name == default)
        if quality > 0 and (best is None or rank > best):
            best, choice = rank, Accepted(written_as, name)
    if best is None:
        raise not_acceptable(value, _LISTED)
    return choice


def not_acceptable(value: str, possible: str) -> NotAcceptable:
    """The refusal of an Accept header, with what is possible."""
    return NotAcceptable(f"Accept: {shown(value)} cannot be answered; possible are {possible}")


def _match(name: str, ranges: list[tuple[str, float]]) -> tuple[int, float]:
    """Place and quality of the most specific range that covers the name; quality 0 where none does."""
    for wanted in (name, name.split("/")[0] + "/*", "*/*"):
        for place, (pattern, quality) in enumerate(ranges):
            if pattern == wanted:
                return place, quality
    return len(ranges), 0.0


def _range(part: str) -> tuple[str, float]:
    name, parameters = _parsed(part)
    try:
        return name, min(max(float(parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        return name, 1.0


def _has_header(parameters: dict[str, str]) -> bool:
    value = parameters.get("header", "absent").lower()
    if value not in ("present", "absent"):
        raise UnsupportedMediaType(
            f"Content-Type: text/csv; header={shown(value)}: expected header=present or header=absent"
        )
    return value == "present"


def _parsed(value: str) -> tuple[str, dict[str, str]]:
    name, *rest = value.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs}
