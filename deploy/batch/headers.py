"""What the first line of a CSV file is. Nothing guesses: the setting says it, and a doubt is an error."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from deploy.batch.places import BatchError

# Source: the SageMaker API's TransformEnvironmentValue. The container is told the header by its environment.
MAX_HEADER_BYTES = 10240


def refuse_likely(place: str, first: Sequence[bytes]) -> None:
    """Raise BatchError where the first row looks like a header: all names, above a row with a number."""
    if len(first) < 2:
        return
    names, row = (_cells(line) for line in first)
    if names and all(cell.strip() and not _is_number(cell) for cell in names) and any(map(_is_number, row)):
        raise BatchError(
            f'{place}:1: the first row looks like a header ({", ".join(names)[:80]}): header = "strip" in '
            "[batch] (HEADER=strip or --header strip) drops it and names the columns by it"
        )


def header(place: str, first: Sequence[bytes]) -> str:
    """The header line as text. Raises BatchError where it does not name the columns."""
    text = first[0].decode() if first else ""
    names = _cells(first[0]) if first else []
    if not names or not all(names) or len(set(names)) < len(names):
        raise BatchError(
            f"{place}:1: {text[:80]!r} is no header, expected a name for each column, none twice"
        )
    if len(text.encode()) > MAX_HEADER_BYTES:
        raise BatchError(
            f"{place}:1: the header has {len(text.encode())} bytes, expected at most {MAX_HEADER_BYTES}"
        )
    return text


def one_header(headers: Sequence[tuple[str, str]]) -> str:
    """The header that all files share; takes (name, header). Raises BatchError naming two that differ."""
    (first, wanted), *others = headers
    for name, text in others:
        if text != wanted:
            raise BatchError(
                f"{first} and {name} have different headers ({wanted[:60]!r}, {text[:60]!r}): a run has one; "
                "give each its own run"
            )
    return wanted


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except csv.Error:
        return []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
