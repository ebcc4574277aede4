"""A worker of an endpoint: it accepts connections from the socket that all workers have, and answers them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from inference.serving import log, settings
from inference.serving.caching import link, shared_cache
from inference.serving.caching.shared_cache import SharedCache
from inference.serving.counting.board import Board
from inference.serving.handlers import OldHandler
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.batching import Answered, Batches
from inference.serving.microbatching.window import Window
from inference.serving.online import carried, streaming
from inference.serving.online.carried import Carrier
from inference.serving.online.endpoint import Endpoint
from inference.serving.online.openapi import Speaks
from inference.serving.predictor import Predictor
from inference.serving.processes.ending import leave
from inference.serving.processes.workers import NOT_READY
from inference.serving.settings import Settings
from inference.serving.startup import samples

Handler = Predictor | OldHandler
# What takes jobs to their replies, a part of them at a time.
Answers = Callable[[list[Job]], Iterator[Answered]]

# What a worker is told: that new connections are its own; to finish and end (told again, to end at once).
ACCEPT, DRAIN = "accept", "drain"


def life(given: tuple[str, int, int, int]) -> Callable[[Handler, int], int]:
    """All that a worker does. Given: the model's folder, the file descriptors of the listening socket and of
    the board, and how many slots that has."""
    chosen = settings.read(os.environ)
    if chosen.sharing is not None:
        link.import_client()
    return partial(_live, chosen, given)


def _live(chosen: Settings, given: tuple[str, int, int, int], handler: Handler, end: int) -> int:
    model_dir, listening, board, slots = given
    supervisor = Connection(end)
    place = supervisor.recv()
    slot = Board(slots, board).slots[place]
    slot.pid = os.getpid()
    endpoint = Worker(chosen, socket.socket(fileno=os.dup(listening)), slot)
    endpoint.supervisor, endpoint.first = supervisor, place == 0
    if chosen.sharing is not None:
        version = shared_cache.version(Path(model_dir), chosen.sharing.version)
        endpoint.shared = partial(SharedCache, chosen.sharing, version, slot)
    if not isinstance(handler, Predictor):
        endpoint.service.ask, endpoint.service.speaks = carried.asked, Speaks.ANYTHING
    elif handler.streams:
        endpoint.service.ask, endpoint.service.speaks = streaming.asked, Speaks.PIECES
    # Ctrl-C reaches all processes of a terminal; the supervisor tells what it means.
    status = endpoint.run(partial(_answer, endpoint, chosen, handler, Path(model_dir)))
    if status and not slot.ready:
        with contextlib.suppress(OSError):  # it was told so by another worker
            supervisor.send(NOT_READY)
    return status


class Worker(Endpoint):
    """An endpoint that is told by its supervisor when to end, and ends with it."""

    supervisor: Connection
    first = False  # of the server's workers
    shared: Callable[[], SharedCache] | None = None  # what opens the cache that servers share

    def on_start(self) -> None:
        """Accept nothing before the model is ready and the supervisor has left the socket to the workers: it
        says until then that the model loads."""
        self._loop.add_reader(self.supervisor.fileno(), self._told)
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)
        self.on_open = self._be_ready

    def _be_ready(self) -> None:
        # Not before: its password may be one that the handler has fetched in load.
        self.service.shared = self.shared() if self.shared else None
        self.supervisor.send(os.getpid())

    def leave_socket(self) -> None:
        """Take no new connections: the supervisor has the socket again, and outlives this process."""
        self._front.accept(False)

    def _told(self) -> None:
        try:
            told = self.supervisor.recv()
        except (EOFError, OSError):  # the supervisor was killed
            leave(1)
        if told == ACCEPT:
            self.accept()
        else:
            self.stop(told)


def _answer(endpoint: Worker, chosen: Settings, handler: Handler, model_dir: Path) -> None:
    """The model's thread: check the samples, then answer what comes until the end."""
    _keep_threads()
    told = samples.checked(handler, model_dir)
    if endpoint.first:
        log.event(told)
    endpoint.open()
    if not isinstance(handler, Predictor):
        carrier = Carrier(handler)
        answer_jobs(endpoint, carrier.answers, carrier.most, chosen)
    elif handler.streams:
        streaming.answer_streams(endpoint, handler)
    else:
        most = chosen.max_batch_size or handler.batch_size or settings.BATCH_SIZE
        answer_jobs(endpoint, Batches(handler, most).answers, most, chosen)


def _keep_threads() -> None:
    """Let this thread compute with as many threads as the one that loaded the model.

    OpenMP keeps that number for each thread: a new one would take all cores, and several workers then wait
    for one another, a hundred times as long as the work takes.
    """
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(torch.get_num_threads())


def answer_jobs(endpoint: Endpoint, answers: Answers, most: int, chosen: Settings) -> None:
    """Answer jobs, at most so many together, until the batcher is closed."""
    batcher, slot = endpoint.batcher, endpoint.slot
    window = Window(chosen.max_delay_s)
    while (jobs := batcher.take(most, window)) is not None:
        began = slot.since = time.monotonic()
        now = time.perf_counter()
        for job in jobs:
            job.phases["queue"] = now - job.queued
        for answered in answers(jobs):
            endpoint.deliver(answered)
            slot.observe_batch(len(answered))
            for job, _ in answered:
                slot.observe(job.phases)
        slot.since = 0.0
        window.learn(len(jobs), time.monotonic() - began)
