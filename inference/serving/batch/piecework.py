"""What a worker does with a piece: read it, count it, score it, join it. It runs beside the loaded handler.

Every engine's workers run this, so that the answer does not depend on where they stand.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from inference.serving import exchange, log
from inference.serving.batch import lines
from inference.serving.batch.inputs import BOM
from inference.serving.batch.lines import BadLine, Counted
from inference.serving.batch.pieces import Unreadable, read
from inference.serving.codecs import media, parquet
from inference.serving.codecs.media import CSV, PARQUET
from inference.serving.errors import BadBody, Refusal
from inference.serving.exchange import Request
from inference.serving.handlers import OldHandler
from inference.serving.jobs import joined
from inference.serving.jobs.carried_records import Unscored
from inference.serving.jobs.scoring import Policy, Scored, score
from inference.serving.predictor import Predictor

Handler = Predictor | OldHandler
# A reply as plain data, in the order of outcomes.Outcome: lines, rows, the answer, headers in it, failures as
# (line from 0, reason), and what was wrong with the whole piece as (line from 0 or None, reason), or None.
Reply = tuple[int, int, bytes, int, list[tuple[int, str]], tuple[int | None, str] | None]


@dataclass(frozen=True)
class Treatment:
    """How all pieces of a run are treated; `header` is the CSV header line, "" where there is none."""

    content_type: str
    accept: str
    header: str
    keep_errors: bool
    join: bool


def make(settings: tuple[str, str, str, bool, bool]) -> Callable[[Handler, Any], Reply]:
    """The work for these settings: a Treatment's fields, as plain data."""
    treatment = Treatment(*settings)
    if treatment.content_type == PARQUET:  # before a fork, so that the workers share it
        importlib.import_module("pyarrow.parquet")
    return lambda handler, message: work(handler, treatment, message)


def work(handler: Handler, treatment: Treatment, message: Any) -> Reply:
    """The reply to a piece's message."""
    try:
        body = read(message)
    except (Unreadable, OSError) as error:
        return 0, 0, b"", 0, [], (None, str(error))
    if not body:
        return 0, 0, b"", 0, [], None
    if treatment.content_type == PARQUET:
        return _scored(handler, treatment, body, Counted(_parquet_rows(body)))
    try:
        lines.check(body, treatment.content_type)
    except BadLine as error:
        return 0, 0, b"", 0, [], (error.line, str(error))
    if treatment.content_type == CSV:
        body = body.removeprefix(BOM)
    return _scored(handler, treatment, body, lines.count(body, treatment.header.encode()))


def _scored(handler: Handler, treatment: Treatment, body: bytes, counted: Counted) -> Reply:
    request = Request(
        body, media.content_type(treatment.content_type), media.accepted(treatment.accept, treatment.accept)
    )
    policy = Policy(treatment.keep_errors, treatment.header, treatment.join)
    try:
        scored = score(handler, request, policy, {})
    except Refusal as refusal:
        record, reason = _first_failure(handler, request, policy, refusal)
        line = None if record is None else counted.line_of(record)
        return counted.lines, counted.rows, b"", 0, [], (line, reason)
    failures = [(counted.line_of(one.record), one.reason) for one in scored.failures]
    headers = len(counted.headers) if treatment.join else 0
    if trouble := _miscounted(scored.body, counted.rows, headers):
        return counted.lines, counted.rows, b"", headers, failures, (None, trouble)
    answer = _joined(treatment, body, scored, counted) if treatment.join else scored.body
    return counted.lines, counted.rows, answer, headers, failures, None


def _miscounted(answer: bytes, rows: int, headers: int) -> str:
    written = answer.count(b"\n") - headers
    if written == rows:
        return ""
    return f"rows in {rows:,}, rows out {written:,}; expected one line for each record, in its place"


def _first_failure(
    handler: Handler, request: Request, policy: Policy, refusal: Refusal
) -> tuple[int | None, str]:
    """Which record it was, from 0: the same ones again, where errors are kept, show it."""
    if refusal.status >= 500:
        log.failure(str(refusal), refusal.__cause__, indent="  ")
    if isinstance(refusal, Unscored):
        return refusal.place, exchange.message(refusal.refusal)
    try:
        again = score(handler, request, replace(policy, keep_errors=True), {})
    except Refusal:
        return None, str(refusal)
    if not again.failures:
        return None, f"{refusal} (and not when tried again)"
    first = again.failures[0]
    return first.record, first.reason


def _parquet_rows(body: bytes) -> int:
    reader: Any = importlib.import_module("pyarrow.parquet")
    arrow: Any = importlib.import_module("pyarrow")
    return int(reader.read_metadata(arrow.BufferReader(body)).num_rows)


def _joined(treatment: Treatment, body: bytes, scored: Scored, counted: Counted) -> bytes:
    answers = lines.split(scored.body)
    if treatment.content_type == PARQUET:
        # A row that JSON cannot hold was answered with its error, which says what is in it.
        rows = [None if isinstance(row, BadBody) else row for row in parquet.decode_each(body)]
        return joined.join([orjson.dumps(row) for row in rows], answers, treatment.content_type)
    found = lines.split(body)
    if counted.records is not None:
        places = sorted({*counted.records, *counted.headers})
        found = [found[place] for place in places]
    return joined.join(found, answers, treatment.content_type)
