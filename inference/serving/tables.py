"""text/csv. A row is an instance: a list of cells, or an object where the first row names the columns. Pure.

A cell that is written as a number is one (int or float), an empty cell is None, anything else is text: "007"
and "1_000" stay as they are. Every row has as many cells as the first. Source: RFC 4180.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from typing import Any

from inference.serving import outputs
from inference.serving.errors import BadBody, BadPredictions, NotAcceptable, shown
from inference.serving.media import CSV
from inference.serving.outputs import Predictions

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})").fullmatch
_DECIMAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?").fullmatch
_NOT_FINITE = {"nan", "inf", "infinity"}
_CELL = (str, int, float, bool, type(None))

# The body is capped as a whole; a limit for one field in it would only refuse long texts.
csv.field_size_limit(sys.maxsize)


def decode(body: bytes | bytearray, *, header: bool) -> list[Any]:
    """The rows of a CSV text as lists, or with `header` as objects. BadBody names row and column, from 1."""
    rows = _rows(body)
    names = _names(next(rows, None)) if header else None
    instances = []
    width = len(names) if names else 0
    for number, row in enumerate(rows, 2 if header else 1):
        width = width or len(row)
        if len(row) != width:
            raise BadBody(f"{CSV}: row {number} has {len(row)} cells; expected {width} as in the first row")
        cells = [_cell(text, number, column) for column, text in enumerate(row, 1)]
        instances.append(dict(zip(names, cells, strict=True)) if names else cells)
    return instances


def encode(predictions: Predictions) -> bytes:
    """One row a prediction: a number or text, a flat list, or a flat object (its values, without names)."""
    outputs.check_finite(predictions)
    plain = outputs.plain(predictions)
    _check_keys(plain)
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write_quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow
    for number, prediction in enumerate(plain):
        row = _row(number, prediction)
        # The module's own rule for quoting knows the line feed and forgets the carriage return.
        returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (write_quoted if returns else write)(row)
    try:
        return text.getvalue().encode()
    except UnicodeEncodeError as error:
        raise BadPredictions(f"a prediction's text cannot be written as UTF-8: {error.reason}") from error


def _check_keys(plain: list[Any]) -> None:
    keys: list[str] | None = None
    for number, prediction in enumerate(plain):
        if isinstance(prediction, dict):
            found = list(prediction)
            keys = keys or found
            if found != keys:
                raise _not_a_row(number, f"an object with the keys {shown(found)}, not {shown(keys)}")


def _row(number: int, prediction: Any) -> list[Any]:
    cells = [prediction]
    if isinstance(prediction, dict):
        cells = list(prediction.values())
    elif isinstance(prediction, list):
        cells = prediction
    if not cells or not all(isinstance(cell, _CELL) for cell in cells):
        raise _not_a_row(number, shown(prediction))
    return [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]


def _not_a_row(number: int, found: str) -> NotAcceptable:
    return NotAcceptable(
        f"Accept: {CSV}: prediction {number} is {found}; a row is a number, text, a flat list or a flat "
        "object with the same keys in every row: ask for application/json or application/jsonlines"
    )


def _rows(body: bytes | bytearray) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(_text(body), newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadBody(f"{CSV}: row {number}: {error}; expected RFC 4180") from None
        if row is None:
            return
        if not row:
            raise BadBody(f"{CSV}: row {number} is empty; expected cells, or no such line")
        yield row


def _text(body: bytes | bytearray) -> str:
    try:
        return body.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        byte = shown(bytes(body[error.start : error.start + 4]))
        raise BadBody(f"{CSV}: byte {error.start}: {byte} is not UTF-8") from None


def _names(row: list[str] | None) -> list[str]:
    if row is None:
        raise BadBody(f"{CSV}; header=present: the body is empty; expected a row of column names")
    for column, name in enumerate(row, 1):
        if not name or name in row[: column - 1]:
            raise BadBody(
                f"{CSV}; header=present: row 1 column {column}: {shown(name)}: "
                "expected a name that no other column has"
            )
    return row


def _cell(text: str, row: int, column: int) -> Any:
    if not text:
        return None
    if _WHOLE(text):
        return int(text)
    if _DECIMAL(text):
        return _finite(float(text), text, row, column)
    if text.strip().lstrip("+-").lower() in _NOT_FINITE:
        raise _not_finite(text, row, column)
    return text


def _finite(value: float, text: str, row: int, column: int) -> float:
    if value in (float("inf"), float("-inf")):
        raise _not_finite(text, row, column)
    return value


def _not_finite(text: str, row: int, column: int) -> BadBody:
    return BadBody(
        f"{CSV}: row {row} column {column}: {shown(text)} is not a finite number; "
        "expected one, or an empty cell for a missing value"
    )
