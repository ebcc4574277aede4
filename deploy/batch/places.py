"""Where a run reads and writes: a path of this machine, or a prefix of a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)


class BatchError(Exception):
    """A run cannot be made or is not whole; the message names the place, the value and the fix."""


@dataclass(frozen=True)
class Remote:
    """An object, or all that lie under a prefix. A prefix ends with '/' or is empty, the bucket's root."""

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.scheme, self.bucket, self.key + name)


Place = Path | Remote


def parse(text: str, scheme: str) -> Place:
    """The place that INPUT or OUTPUT names. `scheme` is the cloud's own. Raises BatchError for another's."""
    found = SCHEME.fullmatch(text)
    if not found:
        if not text:
            raise BatchError(f"an empty place, expected a path or {scheme}://bucket/prefix")
        return Path(text)
    bucket, _, key = found[2].partition("/")
    if found[1].lower() != scheme or not bucket:
        raise BatchError(f"{text}: expected a path of this machine or {scheme}://bucket/prefix")
    return Remote(scheme, bucket, key)


def prefix(place: Remote) -> Remote:
    """The place as one that holds others: with its '/', unless it is a whole bucket."""
    return place if not place.key or place.key.endswith("/") else place / "/"


def refuse_nested(source: Place, output: Place) -> None:
    """Raise BatchError where one lies in the other, or both are the same."""
    if isinstance(source, Path) and isinstance(output, Path):
        one, other = source.resolve(), output.resolve()
        nested = one.is_relative_to(other) or other.is_relative_to(one)
    elif isinstance(source, Remote) and isinstance(output, Remote):
        here, there = str(prefix(source)), str(prefix(output))
        nested = here.startswith(there) or there.startswith(here)
    else:
        return
    if nested:
        raise BatchError(
            f"OUTPUT {output} and INPUT {source} lie one in the other: name an OUTPUT apart from INPUT, "
            "or results would be read as input"
        )
