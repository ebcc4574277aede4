"""Jobs carried to a handler that was written for another server, and its answers carried back.

Nothing is decoded, negotiated or encoded here: such a handler gets the request as its own server gave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

from inference.serving import exchange, handlers, log
from inference.serving.errors import Refusal
from inference.serving.exchange import Reply
from inference.serving.handlers import Answer, OldHandler
from inference.serving.http.calls import Call
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.batching import Answered
from inference.serving.online import sendable
from inference.serving.online.server import check_plain
from inference.serving.predictor import describe


def asked(call: Call) -> handlers.Call:
    """The request of a call, as it came. It raises a Refusal for a body that is not plain HTTP's."""
    check_plain(call)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    return handlers.Call(
        bytes(call.body), headers.pop("content-type", ""), headers.pop("accept", ""), headers
    )


class Carrier:
    """Answers jobs with an old handler; `most` is how many of them may share a call."""

    def __init__(self, handler: OldHandler) -> None:
        self._handler = handler
        self.most = getattr(handler, "batch_size", None) or 1

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answered]:
        """The jobs with their replies."""
        began = perf_counter()
        answers = self._handler.answer_all([job.request for job in jobs])
        spent = perf_counter() - began
        for job in jobs:
            job.phases["predict"] = spent
            job.shared = len(jobs)
        yield [(job, reply(answer)) for job, answer in zip(jobs, answers, strict=True)]


def reply(answer: Answer) -> Reply:
    """An answer as it is sent; what the handler raised goes to the log."""
    if answer.failure is not None:
        log.failure(f"the handler raised {describe(answer.failure)}", answer.failure, indent="  ")
    try:
        return sendable.reply(answer)
    except Refusal as refusal:
        exchange.note(refusal)
        return exchange.refused(refusal)
