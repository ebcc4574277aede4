"""A batch's body to one answer for each of its records, in their order, and counted. No sockets in here.

Transform jobs in the cloud and `python -m inference.serving batch` score by the same function. Records are
scored together; only where that fails, and errors are kept, are they halved until the bad ones stand alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from inference.serving import codecs, exchange, log, outputs, records, tables
from inference.serving.codecs import Shape
from inference.serving.errors import NotAcceptable, Refusal
from inference.serving.media import CSV, JSON, JSON_LINES, NPY
from inference.serving.predictor import Phases, Predictor, timed
from inference.serving.records import Records

ERROR_KEY = "slipway_error"
# What a step takes many of and gives as many of; it raises a Refusal where it does not.
Step = Callable[[Any], Sequence[Any]]


@dataclass(frozen=True)
class Policy:
    """How a batch treats its records.

    `keep_errors` answers a failed record in its place and goes on. `header` is the CSV line that is no record
    and names the columns ("": there is none); `join` answers it with the names of the prediction's columns.
    """

    keep_errors: bool = False
    header: str = ""
    join: bool = False


@dataclass(frozen=True)
class Failure:
    """A record that could not be scored, by its place from 0 (no header counted), and why, on one line."""

    record: int
    reason: str


@dataclass(frozen=True)
class Scored:
    """The answer, a line for each record; `rows_out` counts the lines that there are, not those there should
    be, and like `rows_in` no header."""

    body: bytes
    rows_in: int
    rows_out: int
    failures: tuple[Failure, ...]


def score(predictor: Predictor, request: exchange.Request, policy: Policy, phases: Phases) -> Scored:
    """The answer to a body of records, its phases added to `phases`.

    Raises a Refusal where a record fails and errors are not kept, where the body as a whole cannot be read
    (JSON, Parquet, npy), and where an array (npy) is wanted, which has no place for an error.
    """
    scored, _ = _scored(predictor, request, policy, phases)
    return scored


def attempt(
    predictor: Predictor, policy: Policy, request: exchange.Request, phases: Phases
) -> exchange.Reply:
    """As exchange.attempt, for a body of records; of the failures that are kept, the log gets the first."""
    scored, refusals = _scored(predictor, request, policy, phases)
    if refusals:
        first = scored.failures[0]
        log.event(
            f"kept {len(refusals)} failures among {scored.rows_in} records; the first is record "
            f"{first.record + 1}: {first.reason}"
        )
        exchange.note(refusals[0])
    return exchange.Reply(200, request.accepted.name, scored.body)


def _scored(
    predictor: Predictor, request: exchange.Request, policy: Policy, phases: Phases
) -> tuple[Scored, list[Refusal]]:
    read = records.decode_each if policy.keep_errors else records.decode
    again = partial(read, request.body, request.content_type, policy.header)
    with timed(phases, "decode"):
        found = again()

    def predict(rows: Any) -> Any:
        return predictor.predictions(rows, phases)

    answers = _kept(predict, found, again) if policy.keep_errors else predict(found.rows)
    with timed(phases, "encode"):
        return _written(answers, found, request.accepted.format, policy)


def _kept(predict: Step, found: Records, again: Callable[[], Records]) -> Sequence[Any]:
    """A prediction for each record, or the Refusal that says why there is none."""
    rows = _good(found.rows)
    try:
        return _in_place(found.rows, predict(rows))
    except Refusal as refusal:
        # The handler may have changed instances before it failed: read them again, and hand out copies.
        rows = _good(again().rows)
        answers = _halved(lambda some: predict(_copied(some)), rows, refusal)
    return _in_place(found.rows, answers)


def _copied(rows: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(rows))  # ten times as fast as the other
    except TypeError:
        return copy.deepcopy(rows)


def _tried(step: Step, items: Sequence[Any]) -> Sequence[Any]:
    """What the step gives for each item; a Refusal where it gives none even for that item alone."""
    try:
        return step(items)
    except Refusal as refusal:
        return _halved(step, items, refusal)


def _halved(step: Step, items: Sequence[Any], refusal: Refusal) -> list[Any]:
    if len(items) == 1:
        return [refusal]
    middle = len(items) // 2
    return [*_tried(step, items[:middle]), *_tried(step, items[middle:])]


def _good(items: Any) -> Any:
    if not isinstance(items, list):  # an array holds no refusals
        return items
    return [item for item in items if not isinstance(item, Refusal)]


def _in_place(items: Any, results: Sequence[Any]) -> Sequence[Any]:
    """The results of the good items, and the refusals where they stood among them."""
    if len(results) == len(items):
        return results
    good = iter(results)
    return [item if isinstance(item, Refusal) else next(good) for item in items]


def _written(answers: Any, found: Records, wanted: str, policy: Policy) -> tuple[Scored, list[Refusal]]:
    if wanted == NPY:
        return _as_array(answers, found), []
    lines = _each_line(answers, wanted) if policy.keep_errors else _lines(answers, wanted)
    refused = {place: line for place, line in enumerate(lines) if isinstance(line, Refusal)}
    failures = tuple(Failure(place, exchange.message(refusal)) for place, refusal in refused.items())
    for failure in failures:
        lines[failure.record] = _error_line(failure.reason, wanted)
    rows_out = len(lines)
    if policy.join and policy.header:
        names = _names_line(answers, wanted)
        for place in reversed(found.headers):
            lines.insert(place, names)
    body = _body(lines, found.shape, wanted)
    return Scored(body, len(found.rows), rows_out, failures), list(refused.values())


def _as_array(answers: Any, found: Records) -> Scored:
    if len(_good(answers)) != len(answers):
        raise NotAcceptable(f"Accept: {NPY}: an array has no place for a failed record: ask for {JSON_LINES}")
    return Scored(codecs.encode(answers, found.shape, NPY), len(found.rows), len(answers), ())


def _each_line(answers: Any, wanted: str) -> list[Any]:
    """A line for each answer, or the Refusal that it is or that writing it gives."""
    good = _good(answers)
    # Rows of CSV are written without their columns' names, so all of them must have the same.
    keys = next((list(one) for one in good if isinstance(one, dict)), None)
    return list(_in_place(answers, _tried(partial(_lines, wanted=wanted, keys=keys), good)))


def _lines(predictions: Any, wanted: str, keys: list[Any] | None = None) -> list[Any]:
    """Each prediction as one line, without its end. BadPredictions and NotAcceptable as codecs.encode."""
    encoded = codecs.encode_lines(predictions, CSV if wanted == CSV else JSON_LINES, keys)
    lines = encoded.split(b"\n")[:-1]
    if len(lines) != len(predictions):
        raise NotAcceptable(
            f"Accept: {wanted}: a prediction's text has a line end in it, and each record is answered on one "
            f"line: ask for {JSON_LINES}"
        )
    return lines


def _error_line(reason: str, wanted: str) -> bytes:
    return _row_line([ERROR_KEY, reason]) if wanted == CSV else orjson.dumps({ERROR_KEY: reason})


def _names_line(answers: Any, wanted: str) -> bytes:
    """What stands over the predictions' columns: the first prediction says, and without one it is one."""
    first = outputs.plain(next(iter(_good(answers)), None))
    names = ["prediction"]
    if isinstance(first, dict):
        names = [str(key) for key in first]
    elif isinstance(first, list):
        names = [f"prediction_{number}" for number in range(1, len(first) + 1)]
    return _row_line(names) if wanted == CSV else orjson.dumps(names)


def _row_line(row: list[str]) -> bytes:
    return tables.encode([row])[:-1]


def _body(lines: list[bytes], shape: Shape, wanted: str) -> bytes:
    if wanted != JSON:
        return b"\n".join([*lines, b""]) if lines else b""
    if shape is Shape.ONE:
        return lines[0]
    array = b"[" + b",".join(lines) + b"]"
    return b'{"predictions":' + array + b"}" if shape is Shape.ENVELOPE else array
