"""A batch's body to one answer for each of its records, in their order, and counted. No sockets in here.

Transform jobs in the cloud and `python -m inference.serving batch` score by the same function. Records are
scored together; only where that fails, and errors are kept, are they halved until the bad ones stand alone.
What a handler of another server is asked instead, carried_records.py says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from inference.serving import codecs, exchange, log
from inference.serving.codecs.media import JSON_LINES, NPY
from inference.serving.errors import NotAcceptable, Refusal
from inference.serving.handlers import OldHandler
from inference.serving.jobs import answer_lines, carried_records, halving, records
from inference.serving.jobs.halving import Step
from inference.serving.jobs.records import Records
from inference.serving.predictor import Phases, Predictor, timed


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


@dataclass(frozen=True)
class _Answered:
    """Records, and a line or a Refusal for each of them; `names` is the line that answers their header."""

    found: Records
    lines: list[Any]
    names: Callable[[], bytes]


def score(
    handler: Predictor | OldHandler, request: exchange.Request, policy: Policy, phases: Phases
) -> Scored:
    """The answer to a body of records, its phases added to `phases`.

    Raises a Refusal where a record fails and errors are not kept, where the body as a whole cannot be read
    (JSON, Parquet, npy), and where an array (npy) is wanted, which has no place for an error.
    """
    scored, _ = _scored(handler, request, policy, phases)
    return scored


def attempt(
    handler: Predictor | OldHandler, policy: Policy, request: exchange.Request, phases: Phases
) -> exchange.Reply:
    """As exchange.attempt, for a body of records; of the failures that are kept, the log gets the first."""
    scored, refusals = _scored(handler, request, policy, phases)
    if refusals:
        first = scored.failures[0]
        log.event(
            f"kept {len(refusals)} failures among {scored.rows_in} records; the first is record "
            f"{first.record + 1}: {first.reason}"
        )
        exchange.note(refusals[0])
    return exchange.Reply(200, request.accepted.name, scored.body)


def _scored(
    handler: Predictor | OldHandler, request: exchange.Request, policy: Policy, phases: Phases
) -> tuple[Scored, list[Refusal]]:
    if not isinstance(handler, Predictor):
        return _written(_carried(handler, request, policy, phases), request, policy)
    read = records.decode_each if policy.keep_errors else records.decode
    again = partial(read, bytes(request.body), request.content_type, policy.header)
    with timed(phases, "decode"):
        found = again()

    def predict(rows: Any) -> Any:
        return handler.predictions(rows, phases)

    answers = _kept(predict, found, again) if policy.keep_errors else predict(found.rows)
    with timed(phases, "encode"):
        if request.accepted.format == NPY:
            return _as_array(answers, found), []
        return _written(_answered(answers, found, request, policy), request, policy)


def _carried(handler: OldHandler, request: exchange.Request, policy: Policy, phases: Phases) -> _Answered:
    wanted, keep = request.accepted.format, policy.keep_errors
    if wanted == NPY:
        raise NotAcceptable(f"Accept: {NPY}: {handler.shape} gives lines in a job: ask for {JSON_LINES}")
    with timed(phases, "decode"):
        asked = carried_records.asked(handler.intake, request, policy.header, keep)
    with timed(phases, "predict"):
        answers = carried_records.answers(handler, asked, keep)
    with timed(phases, "encode"):
        lines = carried_records.lines(answers, wanted, keep)
    return _Answered(asked.found, lines, lambda: carried_records.names(answers, wanted))


def _kept(predict: Step, found: Records, again: Callable[[], Records]) -> Sequence[Any]:
    """A prediction for each record, or the Refusal that says why there is none."""
    rows = halving.good(found.rows)
    try:
        return halving.in_place(found.rows, predict(rows))
    except Refusal as refusal:
        # The handler may have changed instances before it failed: read them again, and hand out copies.
        rows = halving.good(again().rows)
        answers = halving.halved(lambda some: predict(_copied(some)), rows, refusal)
    return halving.in_place(found.rows, answers)


def _copied(rows: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(rows))  # ten times as fast as the other
    except TypeError:
        return copy.deepcopy(rows)


def _answered(answers: Any, found: Records, request: exchange.Request, policy: Policy) -> _Answered:
    wanted = request.accepted.format
    as_lines = answer_lines.each if policy.keep_errors else answer_lines.together
    return _Answered(found, as_lines(answers, wanted), lambda: answer_lines.names(answers, wanted))


def _as_array(answers: Any, found: Records) -> Scored:
    if len(halving.good(answers)) != len(answers):
        raise NotAcceptable(f"Accept: {NPY}: an array has no place for a failed record: ask for {JSON_LINES}")
    return Scored(codecs.encode(answers, found.shape, NPY), len(found.rows), len(answers), ())


def _written(answered: _Answered, request: exchange.Request, policy: Policy) -> tuple[Scored, list[Refusal]]:
    found, lines, wanted = answered.found, answered.lines, request.accepted.format
    refused = {place: line for place, line in enumerate(lines) if isinstance(line, Refusal)}
    failures = tuple(Failure(place, exchange.message(refusal)) for place, refusal in refused.items())
    for failure in failures:
        lines[failure.record] = answer_lines.error(failure.reason, wanted)
    rows_out = len(lines)
    if policy.join and policy.header:
        names = answered.names()
        for place in reversed(found.headers):
            lines.insert(place, names)
    body = answer_lines.body(lines, found.shape, wanted)
    return Scored(body, len(found.rows), rows_out, failures), list(refused.values())
