"""The processes that run the handler, seen from the one that hands out the work.

That one never imports the handler: what the handler breaks, leaks or kills is a worker, and a worker is
replaced. Where each worker comes from (forked or loaded) is worker.py's matter. Nothing here has a thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError
from inference.serving.processes import loader as loaders
from inference.serving.processes import orphans
from inference.serving.processes.loader import Loader

_MOST_FAILED_STARTS = 3


class WorkersFailed(StartError):
    """There is no worker to be had: the handler does not load, or every process that loads it dies.

    `told`: the process that failed has logged why.
    """

    told = False


# What a worker says in place of its process ID where it could not become ready and has logged why.
NOT_READY = -1


@dataclass(frozen=True)
class Job:
    """What the workers are for.

    `task` names a module of ours whose make(settings) returns the function from a predictor and a message to
    its reply; settings, messages and replies are plain data. Or its life(settings) returns all that a worker
    does, from its predictor and its end of the connection, on which it is first told its place, from 0 on.
    `count` is how many workers there shall be, and `copies` whether each may load a model of its own where
    they cannot share one: else there is one worker. `fds` are file descriptors that they need. `environment`
    has, as name and value, the variables that workers on another machine are to have.
    """

    model_dir: Path
    task: str
    settings: Any
    count: int
    copies: bool = True
    placed: bool = False
    fds: tuple[int, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reply:
    """The answer to what was given under `key`; `lost` where the worker died over it."""

    key: int
    answer: Any = None
    lost: bool = False


@dataclass(eq=False)
class _Worker:
    connection: Connection
    loader: Loader | None  # of its own, which it is itself; None for a forked one
    place: int = 0
    pid: int = 0  # 0 until it says that it is ready
    key: int | None = None
    # Readable once the process has ended. The connection tells that too, but not while something that the
    # handler has forked lives on and holds it open.
    ended: int | None = None

    def forget(self) -> None:
        """Close what leads to it."""
        self.connection.close()
        if self.ended is not None:
            os.close(self.ended)


@dataclass(eq=False)
class Workers:
    """Call start, then give and take in turn, and close in the end, whatever happened. `first` is a loader
    that was started already, for the same task and with the same file descriptors."""

    job: Job
    first: Loader | None = None
    _loader: Loader | None = None
    _forks: bool = False
    _crew: list[_Worker] = field(default_factory=list)
    _failed_starts: int = 0
    _retiring: bool = False
    # Called with place and process ID of a worker that was ready and has ended, before another has its place.
    on_end: Callable[[int, int], None] = lambda place, pid: None

    def start(self) -> None:
        """Load the handler and raise the workers: of those that have places, the first, to prove the others.

        WorkersFailed where it does not load; the log says why.
        """
        self._load()
        self._add()
        if not self.job.placed:
            self.fill()

    def fill(self) -> None:
        """Raise the workers that are not there yet."""
        while len(self._crew) < (self.job.count if self._forks or self.job.copies else 1):
            self._add()

    @property
    def shared(self) -> bool:
        """Whether the workers share one loaded model."""
        return self._forks

    @property
    def pids(self) -> dict[int, int]:
        """The process IDs of the workers that are ready, by their places."""
        return {worker.place: worker.pid for worker in self._crew if worker.pid}

    @property
    def places(self) -> list[int]:
        """The places that are taken, by workers that are ready or on their way."""
        return [worker.place for worker in self._crew]

    def reap_orphans(self) -> None:
        """Have done with those that ended among the processes this one took in: see orphans.py."""
        loaders = (self._loader, *(worker.loader for worker in self._crew))
        orphans.reap(loader.process for loader in loaders if loader is not None)

    def tell(self, place: int, message: Any) -> None:
        """Send this to the worker at that place; one that has died meanwhile is found out by take."""
        for worker in list(self._crew):
            if worker.place == place and worker.pid:
                with contextlib.suppress(OSError):
                    worker.connection.send(message)

    def retire(self, message: Any) -> None:
        """Send every worker this message; none that ends from now on is replaced."""
        self._retiring = True
        for worker in self._crew:
            with contextlib.suppress(OSError):
                worker.connection.send(message)

    def has_room(self) -> bool:
        """Whether a worker stands idle."""
        return self._idle() is not None

    def give(self, key: int, message: Any) -> None:
        """Hand a message to an idle worker; its reply will carry the key."""
        worker = self._idle()
        if worker is None:
            raise RuntimeError("no worker is idle: ask has_room first")
        worker.key = key
        # One that died meanwhile is found out by take.
        with contextlib.suppress(ConnectionError):
            worker.connection.send(message)

    def take(self, bell: int | None = None, timeout_s: float | None = None) -> list[Reply]:
        """Wait until something happens and return the replies there are: none where a worker became ready.

        Something to read at the file descriptor `bell` is something, too, and so is the end of the time. A
        worker that died is replaced. WorkersFailed where none comes up any more.
        """
        awaited = [one for w in self._crew for one in (w.connection, w.ended) if one is not None]
        ready = set(wait(awaited if bell is None else [*awaited, bell], timeout_s))
        heard = (self._hear(w) for w in list(self._crew) if w.connection in ready or w.ended in ready)
        return [reply for reply in heard if reply is not None]

    def close(self) -> None:
        """End every process, those that are in the middle of something too."""
        for worker in self._crew:
            worker.forget()
            if worker.key is not None and worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
            if worker.loader is not None:
                worker.loader.end(at_once=True)
        self._crew.clear()
        if self._loader is not None:
            self._loader.end(at_once=not self._forks)
            self._loader = None

    def _idle(self) -> _Worker | None:
        return next((worker for worker in self._crew if worker.pid and worker.key is None), None)

    def _hear(self, worker: _Worker) -> Reply | None:
        try:
            if not worker.connection.poll():  # it has ended, and has said nothing
                return self._replace(worker)
            said = worker.connection.recv()
        except (EOFError, OSError):
            return self._replace(worker)
        if not worker.pid and said == NOT_READY:
            raise _told("a worker did not become ready")
        if not worker.pid:
            worker.pid, self._failed_starts = said, 0
            worker.ended = worker.ended or _ending(said)
            return None
        key, worker.key = worker.key, None
        return Reply(key, said) if key is not None else None

    def _replace(self, worker: _Worker) -> Reply | None:
        self._crew.remove(worker)
        worker.forget()
        if worker.loader is not None:
            worker.loader.end(at_once=True)
        if worker.pid:
            self.on_end(worker.place, worker.pid)
        if self._retiring:
            return None
        if not worker.pid:
            self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise WorkersFailed(f"{self._failed_starts} workers in a row ended before they were ready")
        self._add()
        return Reply(worker.key, lost=True) if worker.key is not None else None

    def _load(self) -> None:
        first, self.first = self.first, None
        self._loader = _told_what(first, self.job, True) if first else _started(self.job, may_fork=True)
        try:
            self._forks = _first_word(self._loader)
        except (EOFError, OSError):
            status = self._loader.process.wait()
            if status == 1:
                raise _told("the model could not be loaded: the process that does it failed") from None
            ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else "failed"
            raise WorkersFailed(f"the model could not be loaded: the process that does it {ended}") from None

    def _add(self) -> None:
        """Raise one more worker: forked from the loader, or the loader itself, or a process of its own."""
        ours, theirs = socket.socketpair()
        with theirs:
            loader = self._handed_over(theirs)
        ended = _ending(loader.process.pid) if loader is not None else None
        place = min(set(range(len(self._crew) + 1)) - set(self.places))
        worker = _Worker(Connection(ours.detach()), loader, place, ended=ended)
        self._crew.append(worker)
        if self.job.placed:
            worker.connection.send(place)

    def _handed_over(self, end: socket.socket) -> Loader | None:
        """Give the worker's end of its socket to whoever becomes the worker; its loader, if that is it."""
        if self._forks and self._loader is not None:
            try:
                _hand_over(self._loader, end)
            except ConnectionError:  # the loader itself was killed
                self._loader.end(at_once=True)
                self._load()
                return self._handed_over(end)
            return None
        loader, self._loader = self._loader or _started(self.job, may_fork=False), None
        with contextlib.suppress(ConnectionError):  # it is dead already: take finds out
            _hand_over(loader, end)
        return loader


def _told(reason: str) -> WorkersFailed:
    failure = WorkersFailed(f"{reason}, and has said why")
    failure.told = True
    return failure


def _ending(pid: int) -> int | None:
    """A file descriptor that is readable once that process has ended; None where there is no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, not allowed, or gone: then its connection tells
        return None


def _first_word(loader: Loader) -> Any:
    """What the loader says when it has loaded. EOFError or OSError where it has ended before."""
    ended = _ending(loader.process.pid)
    try:
        with Connection(os.dup(loader.control.fileno())) as connection:
            wait([connection] if ended is None else [connection, ended])
            if not connection.poll():
                raise EOFError
            return connection.recv()
    finally:
        if ended is not None:
            os.close(ended)


def _started(job: Job, may_fork: bool) -> Loader:
    return _told_what(loaders.started(job.task, job.fds), job, may_fork)


def _told_what(loader: Loader, job: Job, may_fork: bool) -> Loader:
    with Connection(os.dup(loader.control.fileno())) as connection, contextlib.suppress(ConnectionError):
        # Absolute: a handler may change the working directory before it looks there again.
        model_dir = str(job.model_dir.absolute())
        connection.send((model_dir, job.task, job.settings, job.count, job.copies, may_fork))
    return loader


def _hand_over(loader: Loader, end: socket.socket) -> None:
    socket.send_fds(loader.control, [b"+"], [end.fileno()])
