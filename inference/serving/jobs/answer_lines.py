"""Predictions as lines, and lines as the body of an answer to a batch. Pure."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from inference.serving import codecs
from inference.serving.codecs import Shape, outputs, tables
from inference.serving.codecs.media import CSV, JSON, JSON_LINES
from inference.serving.errors import NotAcceptable
from inference.serving.jobs import halving

ERROR_KEY = "slipway_error"


def together(predictions: Any, wanted: str, keys: list[Any] | None = None) -> list[Any]:
    """Each prediction as one line, without its end. BadPredictions and NotAcceptable as codecs.encode."""
    encoded = codecs.encode_lines(predictions, CSV if wanted == CSV else JSON_LINES, keys)
    lines = encoded.split(b"\n")[:-1]
    if len(lines) != len(predictions):
        raise NotAcceptable(
            f"Accept: {wanted}: a prediction's text has a line end in it, and each record is answered on one "
            f"line: ask for {JSON_LINES}"
        )
    return lines


def each(answers: Any, wanted: str) -> list[Any]:
    """A line for each answer, or the Refusal that it is or that writing it gives."""
    good = halving.good(answers)
    # Rows of CSV are written without their columns' names, so all of them must have the same.
    keys = next((list(one) for one in good if isinstance(one, dict)), None)
    return list(halving.in_place(answers, halving.tried(partial(together, wanted=wanted, keys=keys), good)))


def error(reason: str, wanted: str) -> bytes:
    """The line of a record that has no prediction."""
    return _row([ERROR_KEY, reason]) if wanted == CSV else orjson.dumps({ERROR_KEY: reason})


def names(answers: Any, wanted: str) -> bytes:
    """What stands over the predictions' columns: the first prediction says, and without one it is one."""
    first = outputs.plain(next(iter(halving.good(answers)), None))
    found = ["prediction"]
    if isinstance(first, dict):
        found = [str(key) for key in first]
    elif isinstance(first, list):
        found = [f"prediction_{number}" for number in range(1, len(first) + 1)]
    return _row(found) if wanted == CSV else orjson.dumps(found)


def body(lines: list[bytes], shape: Shape, wanted: str) -> bytes:
    """The lines as the answer's body; as JSON they are put together in the shape that the request had."""
    if wanted != JSON:
        return b"\n".join([*lines, b""]) if lines else b""
    if shape is Shape.ONE:
        return lines[0]
    array = b"[" + b",".join(lines) + b"]"
    return b'{"predictions":' + array + b"}" if shape is Shape.ENVELOPE else array


def _row(row: list[str]) -> bytes:
    return tables.encode([row])[:-1]
