"""Jobs carried to a handler that was written for another server, and its answers carried back.

Nothing is decoded, negotiated or encoded here: such a handler gets the request as its own server gave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from inference.serving import handlers, log
from inference.serving.batcher import Job
from inference.serving.batching import Answered
from inference.serving.calls import Call
from inference.serving.errors import StartError
from inference.serving.exchange import Reply
from inference.serving.handlers import Answer, OldHandler
from inference.serving.predictor import describe
from inference.serving.samples import FILE
from inference.serving.server import check_plain

_SAMPLE_TYPE = "application/json"


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
        yield [(job, _reply(answer)) for job, answer in zip(jobs, answers, strict=True)]

    def check(self, model_dir: Path) -> str:
        """Have each sample answered, as JSON; what to say of it. StartError names the line that failed."""
        path = model_dir / FILE
        if not path.is_file():
            return f"no {FILE}: ready means that the model is loaded, not that it answers"
        lines = path.read_bytes().rstrip(b"\r\n").split(b"\n")
        for number, line in enumerate(lines, 1):
            answer = self._handler.answer(handlers.Call(line, _SAMPLE_TYPE))
            if answer.status != 200:
                said = answer.body[:500].decode("utf-8", "replace")
                raise StartError(
                    f"{FILE} line {number}: answered {answer.status}: {said}"
                ) from answer.failure
        return f"{FILE}: {len(lines)} samples answered"


def _reply(answer: Answer) -> Reply:
    if answer.failure is not None:
        log.failure(f"the handler raised {describe(answer.failure)}", answer.failure, indent="  ")
    headers = tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()
    )
    return Reply(answer.status, answer.content_type, answer.body, headers)
