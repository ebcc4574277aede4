"""From a bound socket to an exit status: load in the model's thread, serve, drain on SIGTERM.

Statuses: 0 after SIGTERM or SIGINT, 1 where the model could not be made ready or work was cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn

from inference.serving import artifact, exchange, loading, log, manifest, samples, storage
from inference.serving.batcher import Batcher, Job
from inference.serving.body import DISCARD_BODIES
from inference.serving.crew import Crew
from inference.serving.errors import StartError
from inference.serving.isolation import write_no_bytecode
from inference.serving.metrics import Metrics
from inference.serving.predictor import Phases, Predictor, describe
from inference.serving.protocol import Limits, protocol
from inference.serving.server import Service
from inference.serving.settings import Batch, Settings

# Longer than a load balancer keeps its connections, so that it is never us who closes one it is about to use.
_KEEP_ALIVE_S = 75
_LAST_ANSWERS_S = 2.0
# How long the event loop waits until it asks the model's thread for the interpreter. Python's 5 ms begin anew
# whenever that thread lets go for a moment, as small calls do all the time, and /ping waited for seconds.
_SWITCH_S = 0.0001
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, listening: socket.socket) -> int:
    """Serve until told to stop; the status to exit with."""
    sys.setswitchinterval(_SWITCH_S)
    log.route_uvicorn()
    process = Process(settings)
    process.run(sockets=[listening])
    process.remove_download()
    if not process.end_model():
        _leave(process.status)
    # A thread that the handler started must not hold the container either.
    killer = threading.Timer(_LAST_ANSWERS_S, _leave, (process.status,))
    killer.daemon = True
    killer.start()
    return process.status


def _leave(status: int) -> None:
    """End now, past Python's own exit, which would wait for the handler's threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


class Process(uvicorn.Server):
    """uvicorn's server, with our own start, our own stop, and no second raising of the signal."""

    def __init__(self, settings: Settings) -> None:
        self.status = 0
        self._settings = settings
        self._downloads: Path | None = None
        self._batcher = Batcher(settings.max_queue)
        self._metrics = Metrics()
        self._service = Service(settings, self._batcher, self._metrics)
        self._model = threading.Thread(target=self._live, name="model", daemon=True)
        self._draining: asyncio.Task[None] | None = None
        super().__init__(_configuration(settings, self._service))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept first: /ping says that the model is loading while it does."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._model.start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on a signal. uvicorn would raise it again at the end, and the status would be its."""
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        os.register_at_fork(
            before=_hold_signals, after_in_parent=_release_signals, after_in_child=_own_signals
        )
        yield

    def end_model(self) -> bool:
        """Let the model's thread end; False where it is in a step, or in load, and does not come back."""
        self._batcher.close()
        self._model.join(_LAST_ANSWERS_S / 2)
        return not self._model.is_alive()

    def remove_download(self) -> None:
        """Remove the model that was downloaded; what is open stays readable."""
        if self._downloads is not None:
            shutil.rmtree(self._downloads, ignore_errors=True)

    def _live(self) -> None:
        """The model's thread: load, check, then answer until the end."""
        try:
            self._download()
            # Nothing may lie beside what the manifest lists: a compiled module would be run for a source.
            write_no_bytecode()
            log.event(manifest.check(self._settings.model_dir, self._settings.manifest_sha256))
            if self._settings.batch is None:
                self._answer_here()
            else:
                self._answer_by_workers(self._settings.batch)
        except StartError as error:
            self._from_model(self._fail, error)
        except BaseException as error:  # whatever it is: without this thread nobody is answered
            self._from_model(self._fail, _unforeseen(error))

    def _download(self) -> None:
        wanted = self._settings.artifact
        if wanted:
            self._downloads = Path(tempfile.mkdtemp(prefix="slipway-model-"))
            model_dir = artifact.fetch(wanted, storage.reached_by(os.environ), self._downloads)
            self._settings = replace(self._settings, model_dir=model_dir)

    def _answer_here(self) -> None:
        """In this thread, one request after the other."""
        predictor = _loaded(self._settings.model_dir)
        attempt = partial(exchange.attempt, predictor)
        samples.check(lambda sample: attempt(sample, {}), self._settings.model_dir)
        self._from_model(self._open)
        self._batcher.run(lambda job: self._work(attempt, job))

    def _answer_by_workers(self, batch: Batch) -> None:
        """In worker processes, as many requests at once as there are cores."""
        with contextlib.closing(Crew(self._settings, batch, self._batcher)) as crew:
            crew.start()
            samples.check(crew.ask, self._settings.model_dir)
            self._from_model(self._open)
            crew.run(self._metrics)

    def _work(self, attempt: exchange.Attempt, job: Job) -> None:
        phases: Phases = {"queue": time.perf_counter() - job.queued}
        reply = exchange.answer(attempt, job.request, phases)
        # At the end of a drain the loop is gone before a slow step returns.
        with contextlib.suppress(RuntimeError):
            job.done(reply)
        self._metrics.observe(phases)

    def _from_model(self, call: object, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)  # type: ignore[arg-type]  # methods of ours

    def _open(self) -> None:
        if self._service.state == "loading":
            self._service.state = "ready"
            log.event("ready")

    def _fail(self, error: StartError) -> None:
        log.failure(str(error), error.__cause__)
        self.status = 1
        self.should_exit = True

    def _stop(self, name: str) -> None:
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain(name))
        else:
            self._cut(f"{name} again")

    async def _drain(self, name: str) -> None:
        self._service.state = "draining"
        log.event(
            f"{name}: finishing {self._service.in_flight} requests, at most {self._settings.drain_s:g} s"
        )
        deadline = time.monotonic() + self._settings.drain_s
        while self._service.in_flight and time.monotonic() < deadline and not self.should_exit:
            await asyncio.sleep(0.02)
        if self._service.in_flight:
            self._cut(f"{self._settings.drain_s:g} s are over (SLIPWAY_DRAIN_S)")
        self.should_exit = True

    def _cut(self, reason: str) -> None:
        if self._service.in_flight:
            log.failure(f"{reason}: {self._service.in_flight} requests were cut off with 503")
            self.status = 1
        self._service.cut()
        self.should_exit = True


def _hold_signals() -> None:
    """Before the handler forks: what is sent to the child waits until the child is ready for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _own_signals() -> None:
    """In a child that the handler forked, a signal ends the child. With the loop's wakeup, which it inherits,
    it would outlive SIGTERM, and the server would take that for its own."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _release_signals()


def _loaded(model_dir: Path) -> Predictor:
    started = time.perf_counter()
    predictor = loading.load(model_dir)
    log.event(f"model loaded in {time.perf_counter() - started:.2f} s")
    return predictor


def _unforeseen(error: BaseException) -> StartError:
    failure = StartError(f"the model's thread ended: {describe(error)}")
    failure.__cause__ = error
    return failure


def _configuration(settings: Settings, service: Service) -> uvicorn.Config:
    wire = settings.max_body * (DISCARD_BODIES + 2) + 2**20
    return uvicorn.Config(
        service,
        loop="uvloop",
        http=protocol(Limits(settings.header_timeout_s, wire)),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(_LAST_ANSWERS_S),
    )
