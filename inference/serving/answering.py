"""What a worker of a transform job does with a request: the answer that the server would have given.

It runs beside the loaded handler, in a process of its own; crew.py hands it the requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import Any

from inference.serving import exchange, scoring
from inference.serving.media import Accepted, ContentType
from inference.serving.predictor import Phases, Predictor

# A request as plain data: the body, content type and header, the answer's format and name, whether it is one
# of the samples, which are answered as at an endpoint.
Message = tuple[bytes, tuple[Any, ...], tuple[Any, ...], bool]
# An exchange.Reply's fields and the phases.
Answered = tuple[int, str, bytes, tuple[tuple[bytes, bytes], ...], Phases]


def make(settings: tuple[bool, str, bool]) -> Callable[[Predictor, Any], Answered]:
    """The work under these settings: a scoring.Policy's fields, as plain data."""
    return partial(_answered, scoring.Policy(*settings))


def message(request: exchange.Request, *, sample: bool = False) -> Message:
    """The request as it travels to a worker."""
    return bytes(request.body), astuple(request.content_type), astuple(request.accepted), sample


def _answered(policy: scoring.Policy, predictor: Predictor, given: Message) -> Answered:
    body, kind, wanted, sample = given
    request = exchange.Request(body, ContentType(*kind), Accepted(*wanted))
    attempt = partial(exchange.attempt, predictor) if sample else partial(scoring.attempt, predictor, policy)
    phases: Phases = {}
    reply = exchange.answer(attempt, request, phases)
    return reply.status, reply.content_type, reply.body, reply.headers, phases
