"""A process that answers: an event loop for its connections, and one thread that runs the handler.

What the thread does is given to it: a worker answers with the handler that it has loaded, a transform job
hands its requests on to a crew.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable

from inference.serving import log
from inference.serving.counting.board import Slot
from inference.serving.errors import StartError, Unavailable
from inference.serving.exchange import Reply
from inference.serving.http import front
from inference.serving.microbatching.batcher import Batcher, Job
from inference.serving.online.server import Service
from inference.serving.predictor import describe
from inference.serving.processes.ending import leave
from inference.serving.settings import Settings

# How long the event loop waits until it asks the model's thread for the interpreter. Python's 5 ms begin anew
# whenever that thread lets go for a moment, as small calls do all the time, and /ping waited for seconds.
_SWITCH_S = 0.0001
_BEAT_S = 0.5


class Endpoint:
    """Serves on a socket until it is told to stop. `live` is run in the model's thread: it makes the model
    ready, calls `open`, and answers jobs until the batcher is closed."""

    def __init__(self, settings: Settings, listening: socket.socket, slot: Slot) -> None:
        self.batcher = Batcher(settings.max_queue, slot)
        self.slot = slot
        self.status = 0
        self.on_open: Callable[[], None] = self.accept  # called once the model is ready
        self._settings = settings
        self._listening = listening
        self.service = Service(settings, self.batcher, slot)
        self._draining: asyncio.Task[None] | None = None

    def run(self, live: Callable[[], None]) -> int:
        """Serve; the status to exit with: 0 unless the model could not be made ready or work was cut off."""
        sys.setswitchinterval(_SWITCH_S)
        model = threading.Thread(target=self._live, args=(live,), name="model", daemon=True)
        front.run(lambda: self._serve(model))
        self.batcher.close()
        model.join(front.LAST_ANSWERS_S / 2)
        if model.is_alive():  # it is in a step, or in load, and does not come back
            leave(self.status)
        # A thread that the handler started must not hold the container either.
        killer = threading.Timer(front.LAST_ANSWERS_S, leave, (self.status,))
        killer.daemon = True
        killer.start()
        return self.status

    # --- For the model's thread ---

    def open(self) -> None:
        """Say that the model is ready."""
        self._on_loop(self._open)

    def deliver(self, answered: list[tuple[Job, Reply]]) -> None:
        """Hand replies to those who wait for them."""
        self._on_loop(_hand_out, answered)

    def feed(self, job: Job, piece: bytes | None) -> None:
        """Hand on a piece of a streamed answer; b"" is its end, None breaks it off."""
        if job.call is not None:
            self._on_loop(job.call.feed, piece)

    # --- For the loop ---

    def stop(self, reason: str) -> None:
        """Finish what is there and end; when asked again, end now."""
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain(reason))
        else:
            self._cut(f"{reason} again")

    async def _serve(self, model: threading.Thread) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        opened = self._front = front.Front(self._settings, self._listening, self.service)
        front.on_stop(self.stop)
        self._beat()
        self.on_start()
        model.start()
        await self._ended.wait()
        await opened.close()

    def on_start(self) -> None:
        """Accept from the start: /ping says that the model is loading while it does."""
        self._front.accept(True)

    def leave_socket(self) -> None:
        """On a drain: who is alone goes on accepting, and says that it takes nothing new."""

    def _beat(self) -> None:
        self.slot.beat = time.monotonic()
        self._loop.call_later(_BEAT_S, self._beat)

    def _open(self) -> None:
        if self.service.state == "loading":
            self.service.state = "ready"
            self.on_open()

    def accept(self) -> None:
        """Take new connections, ready to answer them."""
        self._front.accept(True)
        self.slot.ready = 1

    def _live(self, live: Callable[[], None]) -> None:
        try:
            live()
        except StartError as error:
            self._on_loop(self._fail, error)
        except BaseException as error:  # whatever it is: without this thread nobody is answered
            self._on_loop(self._fail, _unforeseen(error))

    def _fail(self, error: StartError) -> None:
        log.failure(str(error), error.__cause__)
        self.service.state = "draining"
        self.service.cut(Unavailable("this process has failed; another one takes its place", "failed"))
        self.status = self.slot.failed = 1
        self._ended.set()

    def _on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        # At the end of a drain the loop is gone before a slow step returns.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    async def _drain(self, reason: str) -> None:
        self.service.state = "draining"
        self.leave_socket()
        seconds = self._settings.drain_s
        log.event(f"{reason}: finishing {self.slot.in_flight} requests, at most {seconds:g} s")
        deadline = time.monotonic() + seconds
        while self.slot.in_flight and time.monotonic() < deadline and not self._ended.is_set():
            await asyncio.sleep(0.02)
        if self.slot.in_flight:
            self._cut(f"{seconds:g} s are over (SLIPWAY_DRAIN_S)")
        self._ended.set()

    def _cut(self, reason: str) -> None:
        if self.slot.in_flight:
            log.failure(f"{reason}: {self.slot.in_flight} requests were cut off with 503")
            self.status = self.slot.failed = 1
        self.service.cut(Unavailable("the server is stopping and did not get to this request", "draining"))
        self._ended.set()


def _hand_out(answered: list[tuple[Job, Reply]]) -> None:
    for job, reply in answered:
        job.answer(reply)


def _unforeseen(error: BaseException) -> StartError:
    failure = StartError(f"the model's thread ended: {describe(error)}")
    failure.__cause__ = error
    return failure
