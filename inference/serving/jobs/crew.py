"""The requests of a transform job, answered by worker processes.

A job's requests are large and come several at once, so every core scores one, while this process only moves
bytes. One thread lives in here, in the place of the thread that runs the handler at an endpoint.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from inference.serving import exchange
from inference.serving.errors import HandlerFailed, StartError
from inference.serving.exchange import Reply
from inference.serving.jobs import answering
from inference.serving.microbatching.batcher import Job
from inference.serving.online.endpoint import Endpoint
from inference.serving.processes.workers import Job as Work
from inference.serving.processes.workers import Reply as Outcome
from inference.serving.processes.workers import Workers
from inference.serving.settings import Batch, Settings, transforms
from inference.serving.startup import samples

_DIED = (
    "the worker process died over this request: it was killed, ran out of memory, or crashed in native code; "
    "another one takes the next"
)


class Crew:
    """Workers for an endpoint's requests. Call start, check the samples, run, and close in the end."""

    def __init__(self, settings: Settings, batch: Batch, endpoint: Endpoint) -> None:
        treatment = (batch.keep_errors, batch.header, batch.join, batch.records, batch.accept)
        self._workers = Workers(
            Work(
                settings.model_dir, "inference.serving.jobs.answering", treatment, transforms(), copies=False
            )
        )
        self._endpoint = endpoint
        self._batcher = endpoint.batcher
        self._given: dict[int, Job] = {}
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._batcher.on_change = self._ring

    def start(self) -> None:
        """Load the model. StartError where that fails; the log says why."""
        self._workers.start()

    def check(self, model_dir: Path) -> str:
        """Have the samples answered; what to say of it. StartError names the one that was not."""
        while not self._workers.has_room():
            self._workers.take()
        self._workers.give(0, str(model_dir))
        while not (outcomes := self._workers.take()):
            pass
        if outcomes[0].lost:
            raise StartError(f"{samples.FILE}: {_DIED}")
        status, _, said, *_ = outcomes[0].answer
        if status != 200:
            raise StartError(said.decode())
        return str(said.decode())

    def run(self) -> None:
        """Hand each request to an idle worker and its reply to who waits for it, until the batcher closes.

        StartError where no worker comes up any more.
        """
        while not self._batcher.closed:
            self._hand_out()
            for outcome in self._workers.take(self._bell):
                self._hand_back(outcome)
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 4096)

    def close(self) -> None:
        """End the workers, also one that is in the middle of a request."""
        self._workers.close()

    def _hand_out(self) -> None:
        while self._workers.has_room() and (job := self._batcher.next_now()) is not None:
            self._given[id(job)] = job
            self._workers.give(id(job), answering.message(job.request))

    def _hand_back(self, outcome: Outcome) -> None:
        job = self._given.pop(outcome.key)
        self._endpoint.deliver([(job, _reply(outcome))])
        if not outcome.lost:
            self._endpoint.slot.observe(outcome.answer[-1])

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._rope, b"!")


def _reply(outcome: Outcome) -> Reply:
    if outcome.lost:
        return exchange.refused(HandlerFailed(_DIED))
    status, content_type, body, headers, _ = outcome.answer
    return Reply(status, content_type, body, tuple(headers))
