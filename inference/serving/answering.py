"""What a worker of a transform job does with a request: the answer that the server would have given.

It runs beside the loaded handler, in a process of its own; crew.py hands it the requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import Any

from inference.serving import enveloped, exchange, scoring
from inference.serving.media import Accepted, ContentType
from inference.serving.predictor import Phases, Predictor

# A request as plain data: the body, content type and header, the answer's format and name, whether it is one
# of the samples, which are answered as at an endpoint.
Message = tuple[bytes, tuple[Any, ...], tuple[Any, ...], bool]
# An exchange.Reply's fields and the phases.
Answered = tuple[int, str, bytes, tuple[tuple[bytes, bytes], ...], Phases]


def make(settings: tuple[bool, str, bool, str, str]) -> Callable[[Predictor, Any], Answered]:
    """The work under these settings: a scoring.Policy's fields, and the content types of an
    enveloped.Envelope ("" where the requests are none), as plain data."""
    keep_errors, header, join, carried, accepted = settings
    policy = scoring.Policy(keep_errors, header, join)
    envelope = enveloped.Envelope(carried, accepted, policy) if carried else None
    return partial(_answered, partial(_attempt, policy, envelope))


def message(request: exchange.Request, *, sample: bool = False) -> Message:
    """The request as it travels to a worker."""
    return bytes(request.body), astuple(request.content_type), astuple(request.accepted), sample


def _attempt(
    policy: scoring.Policy, envelope: enveloped.Envelope | None, predictor: Predictor, sample: bool
) -> exchange.Attempt:
    if sample:
        return partial(exchange.attempt, predictor)
    scored = partial(scoring.attempt, predictor, policy)
    return partial(enveloped.attempt, scored, envelope) if envelope else scored


def _answered(
    attempt: Callable[[Predictor, bool], exchange.Attempt], predictor: Predictor, given: Message
) -> Answered:
    body, kind, wanted, sample = given
    request = exchange.Request(body, ContentType(*kind), Accepted(*wanted))
    phases: Phases = {}
    reply = exchange.answer(attempt(predictor, sample), request, phases)
    return reply.status, reply.content_type, reply.body, reply.headers, phases
