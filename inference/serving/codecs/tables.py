"""text/csv. A row is an instance: a list of cells, or an object where the first row names the columns. Pure.

A cell that is written as a number is one (int or float), an empty cell is None, anything else is text: "007"
and "1_000" stay as they are. Every row has as many cells as the first. Source: RFC 4180.
"""

from __future__ import annotations

import csv
import io
import math
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from inference.serving.codecs import outputs
from inference.serving.codecs.media import CSV
from inference.serving.codecs.outputs import Predictions
from inference.serving.errors import BadBody, BadPredictions, NotAcceptable, shown

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})").fullmatch
_DECIMAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?").fullmatch
_NOT_FINITE = {"nan", "inf", "infinity"}
_CELL = (str, int, float, bool, type(None))
_SIMPLE = {str, int, float, type(None)}
# Tables say the same few things again and again. What is longer than this is not kept, so that little is.
_LONGEST_KEPT = 32

_SPANNING = "a quoted field goes on over the end of its line, and a record is one line; expected it closed"

# The body is capped as a whole; a limit for one field in it would only refuse long texts.
csv.field_size_limit(sys.maxsize)


class _NotFinite(ValueError):
    """A cell's text that stands for no finite number."""


def decode(body: bytes | bytearray, *, header: bool) -> list[Any]:
    """The rows of a CSV text as lists, or with `header` as objects. BadBody names row and column, from 1."""
    rows = _rows(io.StringIO(_text(body), newline=""))
    names = _names(next(rows, None)) if header else None
    return _instances(rows, names, 2 if header else 1)


def decode_lines(lines: list[str], names: list[str] | None) -> list[Any]:
    """The same where each line is a row of its own, without its line end. BadBody where one is not."""
    instances = _instances(_rows(lines), names, 1)
    if len(instances) != len(lines):
        raise BadBody(f"{CSV}: {_SPANNING}")
    return instances


def cells(line: str) -> list[str]:
    """The cells of one line, as they are written. BadBody without a place: the caller knows the line."""
    try:
        row = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise BadBody(_SPANNING if line.count('"') % 2 else f"{error}; expected RFC 4180") from None
    return row


def instance(row: list[str], names: list[str] | None, width: int) -> Any:
    """The instance that one row of cells is. BadBody, as above, where it is not `width` cells wide."""
    if len(row) != width:
        raise BadBody(f"a row of {len(row)} cells; expected {width}")
    return _instance(row, names, 0)


def names(line: str) -> list[str]:
    """The column names that a header line holds; BadBody where one is missing or there twice."""
    return _names(cells(line))


def encode(predictions: Predictions, keys: list[Any] | None = None) -> bytes:
    """One row a prediction: a number or text, a flat list, or a flat object (its values, without names).

    All objects must have the same keys: the given ones, or else the first one's.
    """
    rows = _simple_rows(predictions)
    if rows is not None:
        _check_keys(predictions, keys)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        # The module's own rule for quoting knows the line feed and forgets the carriage return.
        if "\r" not in (whole := text.getvalue()):
            return _as_bytes(whole)
    return _encode_any(predictions, keys)


def _simple_rows(predictions: Predictions) -> list[list[Any]] | None:
    """The rows as they are, which is fast; None where one of them needs a second look or is none."""
    rows = []
    for prediction in predictions if isinstance(predictions, list) else predictions.tolist():
        row = [prediction]
        if type(prediction) is dict:
            row = list(prediction.values())
        elif type(prediction) is list:
            row = prediction
        kinds = set(map(type, row))
        if not (kinds and kinds <= _SIMPLE) or (float in kinds and not all(map(_is_usable, row))):
            return None
        rows.append(row)
    return rows or None


def _is_usable(cell: Any) -> bool:
    return type(cell) is not float or math.isfinite(cell)


def _encode_any(predictions: Predictions, keys: list[Any] | None) -> bytes:
    outputs.check_finite(predictions)
    plain = outputs.plain(predictions)
    _check_keys(plain, keys)
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write_quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow
    for number, prediction in enumerate(plain):
        row = _row(number, prediction)
        returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (write_quoted if returns else write)(row)
    return _as_bytes(text.getvalue())


def _as_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadPredictions(f"a prediction's text cannot be written as UTF-8: {error.reason}") from error


def _check_keys(plain: Predictions, keys: list[Any] | None) -> None:
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


def _instances(rows: Iterable[list[str]], names: list[str] | None, first: int) -> list[Any]:
    instances = []
    width = len(names) if names else 0
    for number, row in enumerate(rows, first):
        width = width or len(row)
        if len(row) != width:
            raise BadBody(f"{CSV}: row {number} has {len(row)} cells; expected {width} as in the first row")
        instances.append(_instance(row, names, number))
    return instances


def _instance(row: list[str], names: list[str] | None, number: int) -> Any:
    try:
        values = [_kept_value(text) if len(text) <= _LONGEST_KEPT else _value(text) for text in row]
    except _NotFinite as error:
        raise _not_finite(row, str(error), number) from None
    return dict(zip(names, values, strict=True)) if names else values


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    reader = csv.reader(lines, strict=True)
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


def _value(text: str) -> Any:
    if not text:
        return None
    if _WHOLE(text):
        return int(text)
    if _DECIMAL(text):
        value = float(text)
        if math.isinf(value):
            raise _NotFinite(text)
        return value
    if text.strip().lstrip("+-").lower() in _NOT_FINITE:
        raise _NotFinite(text)
    return text


_kept_value = lru_cache(maxsize=2**14)(_value)


def _not_finite(row: list[str], text: str, number: int) -> BadBody:
    place = f"{CSV}: row {number} " if number else ""
    return BadBody(
        f"{place}column {row.index(text) + 1}: {shown(text)} is not a finite number; "
        "expected one, or an empty cell for a missing value"
    )
