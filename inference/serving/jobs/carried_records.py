"""The records of a batch carried to a handler of another server, each brought back as a line.

For its own server somebody wrote requests: its cloud's batch service, or a caller. What those would have
sent, the handler's intake says; see handlers.Intake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from inference.serving import exchange
from inference.serving.codecs import parquet
from inference.serving.codecs.media import CSV, JSON, PARQUET
from inference.serving.errors import BadBody, Refusal
from inference.serving.handlers import Answer, Call, Intake, OldHandler
from inference.serving.jobs import answer_lines, carried_answers, halving, records
from inference.serving.jobs.carried_answers import Said
from inference.serving.jobs.records import Records

_INSTANCES = "instances"


@dataclass(frozen=True)
class Asked:
    """What a handler is asked about records, which are texts, or numbers of rows.

    `body` is what is posted for some of them together, or, where they go `alone`, for a list of one; those
    that are requests already, `is_request` tells, and they go alone in any case.
    """

    found: Records
    body: Callable[[Sequence[Any]], bytes]
    content_type: str
    accept: str
    alone: bool = False
    is_request: Callable[[Any], bool] = lambda row: False


class Unscored(Refusal):
    """A record has failed, and with it all that were to be answered together: its place, from 0, and why."""

    def __init__(self, place: int, refusal: Refusal) -> None:
        super().__init__(f"record {place + 1}: {refusal}")
        self.status, self.code = refusal.status, refusal.code
        self.place, self.refusal = place, refusal


def asked(intake: Intake, request: exchange.Request, header: str, keep: bool) -> Asked:
    """What to ask for a body of records. With `keep` a record that cannot be read has its BadBody in its
    place; else that is raised, and names its line. BadBody for a Parquet file that cannot be read."""
    kind, body = request.content_type, bytes(request.body)
    accept = intake.accepts.get(request.accepted.format, JSON)
    if kind.format in intake.whole:
        found = records.unread(body, kind, header)
        part = _lines if kind.format != PARQUET else _rows_of(body, len(found.rows))
        return Asked(found, part, intake.whole[kind.format], accept)
    read = records.decode_each if keep else records.decode
    found = records.as_json(body, kind, read(body, kind, header))
    make, is_request = _maker(intake)
    return Asked(found, make, JSON, accept, not intake.listed, is_request)


def _lines(lines: Sequence[bytes]) -> bytes:
    return b"\n".join([*lines, b""])


def _rows_of(body: bytes, count: int) -> Callable[[Sequence[int]], bytes]:
    def part(rows: Sequence[int]) -> bytes:
        return body if len(rows) == count else parquet.part(body, rows[0], len(rows))

    return part


def _maker(intake: Intake) -> tuple[Callable[[Sequence[bytes]], bytes], Callable[[bytes], bool]]:
    """What makes a body of records that are JSON, and what tells which of them are such bodies already."""
    if not intake.key:
        return b"".join, lambda record: False
    names = {intake.key, _INSTANCES}
    marks = [orjson.dumps(name) for name in names]
    before, after = (b"[", b"]}") if intake.listed else (b"", b"}")

    def made(some: Sequence[bytes]) -> bytes:
        return b"{%s:%s%s%s" % (orjson.dumps(intake.key), before, b",".join(some), after)

    def is_request(record: bytes) -> bool:
        seems = record.startswith(b"{") and any(mark in record for mark in marks)
        document = orjson.loads(record) if seems else None
        return isinstance(document, dict) and not names.isdisjoint(document)

    return made, is_request


def answers(handler: OldHandler, asked: Asked, keep: bool) -> list[Any]:
    """What the handler says to each record, a Said, in the records' order; with `keep` the Refusal where it
    has failed, and else the first of those is raised."""
    found: list[Any] = list(asked.found.rows)
    places = [place for place, row in enumerate(found) if not isinstance(row, Refusal)]
    sole = {place for place in places if asked.alone or asked.is_request(found[place])}
    bodies = [(place, _sole_body(asked, found[place])) for place in sorted(sole)]
    for place, said in _each(handler, asked, bodies):
        if isinstance(said, Refusal) and not keep:
            raise Unscored(place, said) from said.__cause__
        found[place] = said
    shared = [place for place in places if place not in sole]
    rows = [found[place] for place in shared]
    step = _together(handler, asked)
    said_to = (halving.tried(step, rows) if keep else step(rows)) if rows else []
    for place, said in zip(shared, said_to, strict=True):
        found[place] = said
    return found


def _sole_body(asked: Asked, record: bytes) -> bytes:
    return record if asked.is_request(record) else asked.body([record])


def _together(handler: OldHandler, asked: Asked) -> halving.Step:
    def step(rows: Sequence[Any]) -> list[Said]:
        answer = handler.answer(Call(asked.body(rows), asked.content_type, asked.accept))
        return carried_answers.of_many(answer, len(rows))

    return step


def _each(
    handler: OldHandler, asked: Asked, bodies: Sequence[tuple[int, bytes]]
) -> Iterator[tuple[int, Said | Refusal]]:
    """The places with what the handler says to each body; as many share a call as it takes."""
    most = getattr(handler, "batch_size", None) or 1
    for first in range(0, len(bodies), most):
        some = bodies[first : first + most]
        calls = [Call(body, asked.content_type, asked.accept) for _, body in some]
        for (place, _), answer in zip(some, handler.answer_all(calls), strict=True):
            yield place, _said(answer)


def _said(answer: Answer) -> Said | Refusal:
    try:
        return carried_answers.of_one(answer)
    except Refusal as refusal:
        return refusal


def lines(answers: Sequence[Any], wanted: str, keep: bool) -> list[Any]:
    """The answers as lines in the wanted form; refusals stay, and with `keep` others may come to them.

    JSON is written as CSV as predictions of ours are; a text that is no JSON stands in CSV as it is, and in
    JSON as a text. Refusals as codecs.encode's.
    """
    found: list[Any] = list(answers)
    as_rows = [place for place, one in enumerate(found) if wanted == CSV and _is_json(one)]
    values = [carried_answers.value(found[place]) for place in as_rows]
    rows: Iterable[Any] = (answer_lines.each if keep else answer_lines.together)(values, wanted)
    for place, row in zip(as_rows, rows, strict=True):
        found[place] = row
    return [_line(one, wanted) if isinstance(one, Said) else one for one in found]


def _is_json(one: Any) -> bool:
    return isinstance(one, Said) and one.is_json


def _line(said: Said, wanted: str) -> bytes:
    return said.text.encode() if said.is_json or wanted == CSV else orjson.dumps(said.text)


def names(answers: Sequence[Any], wanted: str) -> bytes:
    """What stands over the columns of the answers, as their first one has them."""
    first = next((one for one in answers if isinstance(one, Said)), None)
    if first is None:
        return answer_lines.names([], wanted)
    if first.is_json:
        return answer_lines.names([carried_answers.value(first)], wanted)
    cells = _cells(first.text)
    return answer_lines.names([cells if len(cells) > 1 else cells[0]], wanted)


def _cells(line: str) -> list[str]:
    try:
        return records.cells(line.encode())
    except BadBody:
        return [line]
