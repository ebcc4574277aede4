"""A listening socket on an event loop: accepts, serves the connections, and ends them in good order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable

import uvloop

from inference.serving import log
from inference.serving.http.calls import Limits, Service
from inference.serving.http.wire import Wire
from inference.serving.settings import Settings

LAST_ANSWERS_S = 2.0
# How long a connection is left to a process that has fewer: one that hangs, or whose handler keeps the
# interpreter to itself, does not come.
_LEFT_S, _LOOK_EVERY_S = 0.005, 0.001
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BUSY = (ConnectionAbortedError, BlockingIOError, InterruptedError)


def run(main: Callable[[], object]) -> None:
    """Run a coroutine function on a loop of its own, to its end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())  # type: ignore[arg-type]  # a coroutine


class Front:
    """The socket's connections, as long as it is open. Make it on the running loop."""

    def __init__(self, settings: Settings, listening: socket.socket, service: Service) -> None:
        limits = Limits(settings.max_body, settings.header_timeout_s, settings.body_timeout_s)
        self._service = service
        self._wire = Wire(service, limits)
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._accepting = False
        self._welcomes: set[asyncio.Task[object]] = set()
        listening.setblocking(False)

    def accept(self, wanted: bool) -> None:
        """Take new connections, or leave them to the other processes that have the socket."""
        if wanted and not self._accepting:
            self._loop.add_reader(self._listening, self._welcome)
        elif self._accepting and not wanted:
            self._loop.remove_reader(self._listening)
        self._accepting = wanted

    def turn_away(self) -> None:
        """Take those in who wait in the socket's queue, so that they are answered, and refuse all after them.

        For the last process that has the socket: whoever waits there when it closes would be reset.
        """
        self._listening.listen(0)
        while self._take_in():
            pass
        with contextlib.suppress(OSError):  # where the system does not know this for a socket that listens
            self._listening.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Let the last answers go out, and end every connection."""
        self.accept(False)
        await asyncio.gather(*self._welcomes, return_exceptions=True)
        deadline = self._loop.time() + LAST_ANSWERS_S
        while self._wire.connections and self._loop.time() < deadline:
            self._wire.close_idle()
            await asyncio.sleep(0.01)
        self._wire.abort()

    def _welcome(self) -> None:
        """Take in whoever waits for longest, but for one that another process shall have.

        Clients keep their connections for long: where all processes took what they could, one of them had
        everything to do, and the others nothing.
        """
        if self._service.leaves_next():
            self._loop.remove_reader(self._listening)
            self._look_again(self._loop.time() + _LEFT_S)
        else:
            self._take_in()

    def _look_again(self, last: float) -> None:
        """Come back once it is this process's turn; at the last, take in whoever is still there."""
        if not self._accepting:
            return
        late = self._loop.time() >= last
        if late or not self._service.leaves_next():
            self._loop.add_reader(self._listening, self._welcome)
            if late:
                self._take_in()
        else:
            self._loop.call_later(_LOOK_EVERY_S, self._look_again, last)

    def _take_in(self) -> bool:
        """Take in whoever waits for longest; whether there was anyone."""
        try:
            connection, _ = self._listening.accept()
        except _BUSY:
            return False
        except OSError as error:  # out of descriptors: those who wait stay in the queue
            log.failure(f"cannot accept a connection: {error.strerror}")
            self.accept(False)
            self._loop.call_later(0.5, self.accept, True)
            return False
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._wire.connection, connection))
        self._welcomes.add(task)
        self._wire.coming += 1
        self._wire.count()
        task.add_done_callback(self._welcomed)
        return True

    def _welcomed(self, task: asyncio.Task[object]) -> None:
        self._welcomes.discard(task)
        self._wire.coming -= 1
        self._wire.count()
        if not task.cancelled():
            task.exception()  # a client that has left already


def on_stop(stop: Callable[[str], None]) -> None:
    """Call `stop` with the signal's name when the process is told to end; children of it are not affected."""
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop, signal.Signals(number).name)
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_own_signals)


def _hold_signals() -> None:
    """Before the handler forks: what is sent to the child waits until the child is ready for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _own_signals() -> None:
    """In a child that the handler forked, a signal ends the child. With the loop's wakeup, which it inherits,
    it would outlive SIGTERM, and the server would take that for its own."""
    with contextlib.suppress(ValueError):  # forked from another thread, which is then the main one
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _release_signals()
