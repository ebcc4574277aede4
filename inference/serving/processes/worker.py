"""The processes that run the handler; workers.py starts them.

The first one, the loader, imports the handler and loads the model. Where that is safe (forking.py) the
workers are forked from it: loading is paid once, and all share the model's memory. Else the loader becomes
the one worker that it has, and every further worker is a process that loads for itself.

Messages are plain data (numbers, text, bytes, tuples): after the start our own modules are out of the
handler's sight, and pickle would look for their classes in vain.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from inference.serving import log
from inference.serving.errors import StartError
from inference.serving.handlers import OldHandler
from inference.serving.predictor import Predictor
from inference.serving.processes import forking
from inference.serving.processes.ending import leave
from inference.serving.processes.isolation import leave_to_handler, write_no_bytecode
from inference.serving.startup import loading

# What a task's make(settings) returns: from the handler and a message to the reply.
Work = Callable[[Predictor | OldHandler, Any], Any]
Answer = Callable[[Any], Any]
# All that a worker does, from its end of the connection to the status that it exits with.
Life = Callable[[int], int]

_REAP_S = 1.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that the end of the parent's thread sends


def run(arguments: list[str]) -> NoReturn:
    """The whole process."""
    ended = main(arguments)
    if threading.active_count() > 1:
        leave(ended)
    sys.exit(ended)


def main(arguments: list[str]) -> int:
    """Be the loader at the end of the socket that `arguments` name, for the task that they name next; 1 where
    the handler does not load."""
    # Ctrl-C reaches all processes of a terminal; the one that started us decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_what_is_printed()
    control = socket.socket(fileno=int(arguments[0]))
    importlib.import_module(arguments[1])  # the task: what it imports is there when the order comes
    try:
        with Connection(os.dup(control.fileno())) as connection:
            wanted = Wanted(*connection.recv())
            with ending_with_starter(control):
                life, forks = prepared(wanted)
            connection.send(forks)
        _raise_workers(control, life) if forks else _be_the_worker(control, life)
    except (EOFError, ConnectionError):  # whoever started us is gone
        return 0
    except StartError as error:
        log.failure(str(error), error.__cause__)
        return 1
    return 0


def log_what_is_printed() -> None:
    """What a handler prints is its log, and no part of a report on standard output."""
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


@contextlib.contextmanager
def ending_with_starter(control: socket.socket) -> Iterator[None]:
    """While the model loads, and whatever the handler is at: end at once where whoever started us ends.

    EOFError where it has ended already. Linux alone knows how; elsewhere loading goes on to its end.
    """
    _end_with_parent(signal.SIGKILL)
    with contextlib.suppress(BlockingIOError):
        if not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
            raise EOFError
    try:
        yield
    finally:
        # From here on its end is read from the socket: who is killed could not end those that it has forked.
        _end_with_parent(0)


def _end_with_parent(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


@dataclass(frozen=True)
class Wanted:
    """What a loader is asked for: a workers.Job's fields, and whether it may be forked."""

    model_dir: str
    task: str
    settings: Any
    count: int
    copies: bool
    may_fork: bool


def answerer(wanted: Wanted) -> Answer:
    """How to answer a message, for who has a way of its own to bring them."""
    task: Any = importlib.import_module(wanted.task)
    work: Work = task.make(wanted.settings)
    handler, _ = _loaded(wanted)
    _say_how(handler)
    return partial(work, handler)


def prepared(wanted: Wanted) -> tuple[Life, bool]:
    """What a worker does here, and whether this process may be forked."""
    task = importlib.import_module(wanted.task)
    lived = _lived(task, wanted.settings)
    handler, forks = _loaded(wanted)
    if not hasattr(task, "life"):
        _say_how(handler)
    return partial(lived, handler), forks


def _loaded(wanted: Wanted) -> tuple[Predictor | OldHandler, bool]:
    """The handler, and whether this process may be forked."""
    write_no_bytecode()
    leave_to_handler()
    limited = wanted.count > 1 and forking.load_with_one_thread()
    before, began = forking.seen(), time.perf_counter()
    handler = loading.load(Path(wanted.model_dir), threads=1 if wanted.count > 1 else 0)
    log.event(f"model loaded in {time.perf_counter() - began:.2f} s")
    obstacle = forking.obstacle(before)
    forks = wanted.may_fork and not obstacle
    if obstacle and wanted.may_fork and wanted.count > 1:
        log.event(f"the workers cannot share one loaded model: {obstacle}")
    if wanted.count > 1 and (forks or wanted.copies):
        forking.compute_with_one_thread()
    elif limited:
        forking.compute_with_all_threads(Path(wanted.model_dir, "code"))
    return handler, forks


def _lived(task: Any, settings: Any) -> Callable[[Any, int], int]:
    if hasattr(task, "life"):
        life: Callable[[Any, int], int] = task.life(settings)
        return life
    work: Work = task.make(settings)
    return lambda handler, end: _serve(end, partial(work, handler))


def _say_how(handler: Predictor | OldHandler) -> None:
    if not isinstance(handler, Predictor):
        log.event(handler.intake.told(handler.shape))


def _raise_workers(control: socket.socket, life: Life) -> None:
    """Fork a worker for every socket that arrives, until the other end closes; then leave none behind."""
    gc.freeze()  # a collection in a worker would touch, and so copy, every page of the model's objects
    children: set[int] = set()
    try:
        while True:
            if select.select([control], [], [], _REAP_S)[0]:
                end = _received(control)
                if end is None:
                    return
                children.add(_forked(end, life, control))
            children -= {child for child in children if _has_ended(child)}
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:  # the handler ignores SIGCHLD: then the system itself forgets who has ended
        return True


def _be_the_worker(control: socket.socket, life: Life) -> None:
    end = _received(control)
    if end is not None:
        threading.Thread(target=_leave_with_starter, args=(control,), daemon=True).start()
        _run(end, life)


def _leave_with_starter(control: socket.socket) -> None:
    """End as soon as whoever started us closes the socket or is killed, whatever the handler is at."""
    control.recv(1)
    os._exit(1)


def _received(control: socket.socket) -> int | None:
    """The file descriptor that the next message carries; None at the end."""
    message, fds, _, _ = socket.recv_fds(control, 1, 1)
    return fds[0] if message and fds else None


def _forked(end: int, life: Life, control: socket.socket) -> int:
    child = os.fork()
    if not child:
        control.close()
        _run(end, life)
    os.close(end)
    return child


def _run(end: int, life: Life) -> NoReturn:
    """A worker, to its end. It leaves past Python's exit, which is the loader's to run."""
    status = 1
    try:
        status = life(end)
    except BaseException as error:  # whatever it is: it must not run on into what the loader does
        log.failure("the runtime itself failed in a worker", error, indent="  ")
    finally:
        leave(status)


def _serve(end: int, answer: Answer) -> int:
    """Answer one message after the other, until the other end closes."""
    connection = Connection(end)
    try:
        connection.send(os.getpid())
        while True:
            connection.send(answer(connection.recv()))
    except (EOFError, ConnectionError):
        return 0
