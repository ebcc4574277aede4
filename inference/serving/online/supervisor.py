"""The process that the platform starts: raises the workers, replaces them, and says so while there is none.

It never runs the handler, so whatever that does, /ping is answered: by a worker, or from here with a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import threading
import time
from pathlib import Path

from inference.serving import log
from inference.serving.counting.board import Slot
from inference.serving.errors import StartError
from inference.serving.http import front
from inference.serving.microbatching.batcher import Batcher
from inference.serving.online import answerer
from inference.serving.online.model_folder import ModelFolder
from inference.serving.online.server import Service
from inference.serving.predictor import describe
from inference.serving.processes.ending import leave
from inference.serving.processes.loader import ANSWERER, Begun
from inference.serving.processes.workers import Job, Workers, WorkersFailed
from inference.serving.settings import Settings

_LOOK_EVERY_S = 0.5
# How long a worker's event loop may stand still while no call of the handler is to blame.
_STILL_S = 6.0
# How long those who come wait in the socket's queue for a worker in the place of the last one that died. A
# fork is there long before; and /ping, which has 2 s, is answered from here in time where none is.
_VACANT_S = 1.0
# How long after the drain a worker that cannot be told, as its handler never lets go, is waited for.
_LATE_S = 3.0


class Supervisor:
    """Workers on one listening socket. Its event loop is the process's; a thread watches the workers."""

    def __init__(self, settings: Settings, listening: socket.socket, begun: Begun) -> None:
        self._settings = settings
        self._listening = listening
        self._board, self._loader = begun.board, begun.loader
        self._count = len(self._board.slots) - 1  # the last slot is this process's own
        self._slot = self._board.slots[-1]
        self._service = Service(settings, Batcher(settings.max_queue, self._slot), self._slot)
        self._model = ModelFolder(settings)
        self._workers: Workers | None = None
        self._bell, self._rope = os.pipe()
        self._signals = 0
        # The workers that were told to accept: their process IDs by their places.
        self._accepting: dict[int, int] = {}
        self._answered = False  # whether a worker was ever ready
        self._manned = -math.inf  # when one was last there
        self.status = 0

    def run(self) -> int:
        """Serve until told to stop; the status to exit with."""
        watch = threading.Thread(target=self._watch, name="workers", daemon=True)
        front.run(lambda: self._serve(watch))
        self._model.remove()
        return self.status

    # --- The event loop ---

    async def _serve(self, watch: threading.Thread) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._front = front.Front(self._settings, self._listening, self._service)
        self._front.accept(True)
        front.on_stop(self._stop)
        watch.start()
        await self._ended.wait()
        self._front.turn_away()
        await self._front.close()

    def _stop(self, name: str) -> None:
        self._signals += 1
        if self._service.state == "loading" and not self._answered:
            self._end_now()
            return
        self._service.state = "draining"
        self._front.accept(True)
        os.write(self._rope, b"!")

    def _end_now(self) -> None:
        """End while the model loads: there is nothing to be finished."""
        workers = self._workers
        log.event("stopped while the model was loading")
        if workers is not None:
            workers.close()
        else:
            self._loader.end(at_once=True)
        self._model.remove()
        leave(0)

    def _be_open(self, ready: dict[int, int]) -> None:
        """Leave new connections to the workers while there are any; a new one may have them from then on."""
        now = time.monotonic()
        self._manned = now if ready else self._manned
        if self._service.state == "loading":
            self._front.accept(now - self._manned > _VACANT_S)
        if ready and not self._answered:
            log.event("ready")
            self._answered = True
        for place, pid in ready.items():
            if self._accepting.get(place) != pid and self._workers is not None:
                self._workers.tell(place, answerer.ACCEPT)
        self._accepting = ready

    # --- The thread that watches the workers ---

    def _watch(self) -> None:
        try:
            self._raise_workers()
            self._look_after()
        except WorkersFailed as error:
            self._fail(error, quietly=error.told)
        except StartError as error:
            self._fail(error)
        except BaseException as error:  # whatever it is: without this thread nobody is replaced
            failure = StartError(f"the supervisor's thread ended: {describe(error)}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            if self._workers is not None:
                self._workers.close()
            else:
                self._loader.end(at_once=True)
            self._call(self._ended.set)

    def _raise_workers(self) -> None:
        model_dir = self._model.ready()
        fds = (self._listening.fileno(), self._board.fd)
        job = Job(
            model_dir,
            ANSWERER,
            (str(model_dir.absolute()), *fds, len(self._board.slots)),
            self._count,
            copies=self._settings.workers > 1,
            placed=True,
            fds=fds,
        )
        self._workers = Workers(job, self._loader, on_end=self._ended_worker)
        self._workers.start()

    def _look_after(self) -> None:
        """Replace what dies or hangs, until told to stop; then see the workers end."""
        assert self._workers is not None
        while not self._signals:
            self._look()
        self._workers.retire(answerer.DRAIN)
        told, last = 1, time.monotonic() + self._settings.drain_s + _LATE_S
        while self._workers.pids and time.monotonic() < last:
            self._look()
            if self._signals > told:
                told, last = self._signals, time.monotonic() + _LATE_S
                self._workers.retire(answerer.DRAIN)
        self._say_who_is_late(self._workers.pids)

    def _say_who_is_late(self, late: dict[int, int]) -> None:
        for place, pid in late.items():
            cut = self._board.slots[place].in_flight
            log.failure(f"worker {pid} did not end when it was told to: it is ended, with {cut} requests")
            self.status = 1

    def _look(self) -> None:
        assert self._workers is not None
        self._workers.take(self._bell if not self._signals else None, _LOOK_EVERY_S)
        self._workers.reap_orphans()
        now = self._workers.pids
        self._call(self._be_open, now)
        if now and not self._signals:
            self._workers.fill()
        for place, pid in now.items():
            self._end_if_hung(self._board.slots[place], pid)

    def _ended_worker(self, place: int, pid: int) -> None:
        slot = self._board.slots[place]
        if self._signals:
            self.status = max(self.status, int(slot.failed))
        else:
            log.failure(f"worker {pid} ended; another one takes its place")
        slot.clear()

    def _end_if_hung(self, slot: Slot, pid: int) -> None:
        now, since, limit = time.monotonic(), slot.since, self._settings.predict_timeout_s
        if since and now - since > limit:
            reason = f"a call of the handler takes more than {limit:g} s (SLIPWAY_PREDICT_TIMEOUT_S)"
        elif slot.beat and now - slot.beat > _STILL_S and (not since or _is_stopped(pid)):
            reason = f"it has stood still for {_STILL_S:g} s"
        else:
            return
        log.failure(f"worker {pid}: {reason}: it is ended")
        slot.beat = slot.since = 0.0
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _fail(self, error: StartError, quietly: bool = False) -> None:
        if not quietly:
            log.failure(str(error), error.__cause__)
        self.status = 1

    def _call(self, call: object, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)  # type: ignore[arg-type]  # methods of ours


def _is_stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal, as far as the system tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False
