"""DataProcessing: what of a record the container gets, and what of record and answer the output has. Pure.

Source: SageMaker's developer guide, batch-transform-data-processing; API_DataProcessing. A CSV row counts as
an array, whose cells stay as they are written; a JSON record's numbers stay as they are written too.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from infra.local.sagemaker.transforms import exactjson, filters

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
OUTPUT, INPUT = "SageMakerOutput", "SageMakerInput"
INPUT_FAILED = "Failed to parse the input as JSON"
FAILED = "Failed to parse JSON"
OUTPUT_FAILED = "Failed to parse output from the algorithm as JSON"
_CELL = re.compile(rb'("[^"]*(?:""[^"]*)*"|(?!")[^,]*)(,|$)')


class DataError(Exception):
    """A record or an answer cannot be filtered or joined; the message says which and why."""


@dataclass(frozen=True)
class Processing:
    """A job's DataProcessing. `kind` is JSON (a payload is one document), LINES (one a line) or CSV."""

    kind: str
    input_filter: filters.Path = ()
    output_filter: filters.Path = ()
    join: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything differs from passing the bytes through."""
        return bool(self.input_filter or self.output_filter or self.join)


def for_container(processing: Processing, payload: bytes) -> bytes:
    """The payload with InputFilter applied to each of its records. Raises DataError."""
    if not processing.input_filter:
        return payload
    kind, path = processing.kind, processing.input_filter
    records = enumerate(_records(kind, payload), start=1)
    return _assembled(kind, [_filtered(kind, path, one, _place(number)) for number, one in records])


def for_output(processing: Processing, payload: bytes, answer: bytes) -> bytes:
    """The answer with its input joined and OutputFilter applied. Raises DataError.

    `payload` is what was read of the object, before InputFilter. Lines that are blank are no records.
    """
    kind, path = processing.kind, processing.output_filter
    answers = _records(kind, answer)
    if processing.join:
        records = _records(kind, payload)
        _must_match(len(records), len(answers))
        pairs = enumerate(zip(records, answers, strict=True), start=1)
        joined = [_joined(kind, path, pair, _place(number)) for number, pair in pairs]
        return _assembled(kind, joined)
    chosen = [_filtered(kind, path, one, _place(number)) for number, one in enumerate(answers, start=1)]
    return _assembled(kind, chosen if path else answers)


def _records(kind: str, data: bytes) -> list[bytes]:
    if kind == JSON:
        return [data.strip()]
    return [line for one in data.split(b"\n") if (line := one.rstrip(b"\r")).strip()]


def _assembled(kind: str, records: list[bytes]) -> bytes:
    return b"".join(records) if kind == JSON else b"".join([record + b"\n" for record in records])


def _must_match(records: int, answers: int) -> None:
    if records != answers:
        raise DataError(
            f"mismatch: the algorithm answered {records} records with {answers} predictions, which cannot be "
            "joined to them"
        )


def _joined(kind: str, path: filters.Path, pair: tuple[bytes, bytes], place: str) -> bytes:
    record, answer = pair
    if kind == CSV:
        row = record + b"," + answer
        return _filtered(kind, path, row, place) if path else row
    if not path and (side_by_side := _spliced(record, answer, place)):
        return side_by_side
    given, predicted = _parsed(record, INPUT_FAILED, place), _parsed(answer, OUTPUT_FAILED, place)
    value = {**given, OUTPUT: predicted} if isinstance(given, dict) else {INPUT: given, OUTPUT: predicted}
    return _written(path, value, place)


def _spliced(record: bytes, answer: bytes, place: str) -> bytes | None:
    """Record and answer as they are written, None where the record has the answer's name already."""
    names = _names(record, INPUT_FAILED, place)
    _names(answer, OUTPUT_FAILED, place)
    if names is None:
        return b'{"%s":%s,"%s":%s}' % (INPUT.encode(), record, OUTPUT.encode(), answer)
    inside = record.strip()[1:-1].rstrip()
    comma = b"," if inside.strip() else b""
    return None if OUTPUT in names else b'{%s%s"%s":%s}' % (inside, comma, OUTPUT.encode(), answer)


def _filtered(kind: str, path: filters.Path, record: bytes, place: str) -> bytes:
    if kind != CSV:
        return _written(path, _parsed(record, FAILED, place), place)
    chosen = _selected(path, _cells(record, place), place)
    return chosen if isinstance(chosen, bytes) else b",".join(chosen)


def _selected(path: filters.Path, value: Any, place: str) -> Any:
    try:
        return filters.select(path, value)
    except filters.FilterError as error:
        raise DataError(f"Failed to filter {place}: {error}") from None


def _written(path: filters.Path, value: Any, place: str) -> bytes:
    chosen = _selected(path, value, place)
    try:
        return exactjson.write(chosen)
    except ValueError as error:
        raise DataError(f"Failed to write {place}: {error}") from None


def _parsed(text: bytes, failure: str, place: str) -> Any:
    try:
        return exactjson.parse(text)
    except ValueError as error:
        raise DataError(f"{failure}, {place}: {error}") from None


def _names(text: bytes, failure: str, place: str) -> Container[str] | None:
    try:
        return exactjson.names(text)
    except ValueError as error:
        raise DataError(f"{failure}, {place}: {error}") from None


def _place(number: int) -> str:
    return f"record {number} of the request"


def _cells(row: bytes, place: str) -> list[bytes]:
    """The row's cells as they are written, quotes and all."""
    cells, at = [], 0
    while match := _CELL.match(row, at):
        cells.append(match[1])
        at = match.end()
        if not match[2]:
            return cells
    raise DataError(f"Failed to parse {place} as CSV: {row[at : at + 40]!r} follows a quoted cell")
