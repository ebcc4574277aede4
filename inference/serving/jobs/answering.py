"""What a worker of a transform job does with a request: the answer that the server would have given.

It runs beside the loaded handler, in a process of its own; crew.py hands it the requests. A handler of
another server gets the records of a body of lines as its intake says; any other request it gets as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inference.serving import exchange, log
from inference.serving.codecs import media
from inference.serving.codecs.media import CSV, JSON_LINES, PARQUET
from inference.serving.errors import Refusal, StartError
from inference.serving.exchange import Reply
from inference.serving.handlers import Call, OldHandler
from inference.serving.jobs import enveloped, scoring
from inference.serving.online import carried
from inference.serving.predictor import Phases, Predictor, timed
from inference.serving.startup import samples

Handler = Predictor | OldHandler
# A handlers.Call's fields as plain data; the model's folder where its samples are to be answered.
Message = tuple[bytes, str, str, dict[str, str]] | str
# An exchange.Reply's fields and the phases.
Answered = tuple[int, str, bytes, tuple[tuple[bytes, bytes], ...], Phases]
_RECORDS, _LINES = {JSON_LINES, CSV, PARQUET}, {JSON_LINES, CSV}


@dataclass(frozen=True)
class _Treatment:
    """How the job's requests are answered; without an envelope they are bodies of records."""

    policy: scoring.Policy
    envelope: enveloped.Envelope | None


def make(settings: tuple[bool, str, bool, str, str]) -> Callable[[Handler, Any], Answered]:
    """The work under these settings: a scoring.Policy's fields, and the content types of an
    enveloped.Envelope ("" where the requests are none), as plain data."""
    keep_errors, header, join, of_records, accepted = settings
    policy = scoring.Policy(keep_errors, header, join)
    envelope = enveloped.Envelope(of_records, accepted, policy) if of_records else None
    return partial(_answered, _Treatment(policy, envelope))


def message(call: Call) -> Message:
    """The request as it travels to a worker."""
    return call.body, call.content_type, call.accept, dict(call.headers)


def _answered(treatment: _Treatment, handler: Handler, given: Message) -> Answered:
    phases: Phases = {}
    if isinstance(given, str):
        reply = _checked(handler, given)
    else:
        reply = _reply(treatment, handler, Call(*given), phases)
    return reply.status, reply.content_type, reply.body, reply.headers, phases


def _checked(handler: Handler, model_dir: str) -> Reply:
    """What to say of the samples; with another status than 200 they were not answered."""
    try:
        return Reply(200, "text/plain", samples.checked(handler, Path(model_dir)).encode())
    except StartError as error:
        if error.__cause__ is not None:
            log.failure("a sample was not answered", error.__cause__)
        return Reply(500, "text/plain", str(error).encode("utf-8", "replace"))


def _reply(treatment: _Treatment, handler: Handler, call: Call, phases: Phases) -> Reply:
    if not isinstance(handler, Predictor) and not (treatment.envelope or _is_of_records(call)):
        with timed(phases, "predict"):
            answer = handler.answer(call)
        return carried.reply(answer)
    try:
        request = _request(call)
    except Refusal as refusal:
        return exchange.refused(refusal)
    scored = partial(scoring.attempt, handler, treatment.policy)
    attempt = partial(enveloped.attempt, scored, treatment.envelope) if treatment.envelope else scored
    return exchange.answer(attempt, request, phases)


def _is_of_records(call: Call) -> bool:
    """Whether it is of the forms in which a job of ours has its files read and answered."""
    try:
        request = _request(call)
    except Refusal:
        return False
    return request.content_type.format in _RECORDS and request.accepted.format in _LINES


def _request(call: Call) -> exchange.Request:
    content_type = media.content_type(call.content_type)
    return exchange.Request(call.body, content_type, media.accepted(call.accept, content_type.format))
