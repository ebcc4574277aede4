"""One change of a deployment at a time: a lock, which is an object beside the deployment's archives.

The store itself decides who has it: an object is made only where there is none, or only over the one that
was read. Whoever holds it renews it while at work. Killed, they renew it no more, and it is anybody's after
LEASE_S, by the clocks of both machines, or at once on the machine where they ran.
"""

import getpass
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from deploy import terminal
from deploy.config import Config
from deploy.target import CloudError

LEASE_S, RENEW_S = 120.0, 30.0
_held_here: set[str] = set()  # tokens: a lock of this process that is none of them could not be given back


class LockError(Exception):
    """Somebody else is changing this deployment; the message says who, since when, and until when to wait."""


class Store(Protocol):
    """A module beside a target's: the one object that is a deployment's lock. It raises CloudError."""

    def read(self, config: Config) -> tuple[bytes, str] | None:
        """What it holds, and what tells its state from any other; None where there is none."""

    def write(self, config: Config, body: bytes, over: str) -> str | None:
        """Make it over the state `over`, or "" for none; its new state, None where another was quicker.

        "" where there is no bucket, and so nothing that two could change.
        """

    def remove(self, config: Config) -> None:
        """Delete it."""


@dataclass(frozen=True)
class Lock:
    """Who holds it, doing what, and when that is over if nothing more is heard. Times are ISO 8601 in UTC."""

    token: str
    verb: str
    who: str
    host: str
    pid: int
    since: str
    until: str


@contextmanager
def held(store: Store, config: Config, verb: str) -> Iterator[None]:
    """Hold the lock of the deployment meanwhile. Raises LockError, at once, where somebody else has it."""
    now = datetime.now(UTC)
    lock = Lock(secrets.token_hex(8), verb, _user(), socket.gethostname(), os.getpid(), _text(now), "")
    holding = _Holding(store, config, lock)
    _held_here.add(lock.token)
    try:
        holding.take()
        yield
    finally:
        _held_here.discard(lock.token)
        holding.give_back()


class _Holding:
    """A lock that is held, with the thread that renews it."""

    def __init__(self, store: Store, config: Config, lock: Lock) -> None:
        self._store, self._config, self._lock = store, config, lock
        self._state: str | None = None
        self._refused = False
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="renews the lock", daemon=True)

    def take(self) -> None:
        try:
            state = self._write("")
            self._state = self._taken_over() if state is None else state
        except (CloudError, LockError):
            self._refused = True
            raise
        self._renewing.start()

    def _taken_over(self) -> str:
        """The state after the lock of somebody who is no more was overwritten."""
        there = self._store.read(self._config)
        if there is None:
            raise LockError(f"another command has just changed {self._config.name!r}: give this one again")
        body, state = there
        other = _read(body)
        if other and other.token == self._lock.token:  # the SDK wrote it twice, and heard of the second time
            return state
        taken = self._write(state) if other is None or _is_gone(other) else None
        if taken is None:
            raise LockError(_refusal(self._config.name, other))
        return taken

    def _write(self, over: str) -> str | None:
        until = _text(datetime.now(UTC) + timedelta(seconds=LEASE_S))
        return self._store.write(self._config, _written(replace(self._lock, until=until)), over)

    def _renew(self) -> None:
        while self._state and not self._over.wait(RENEW_S):
            with suppress(CloudError):  # what is not answered now may be so the next time
                self._state = self._write(self._state)
        if self._state is None:
            terminal.aside("another command has taken this one's lock: each may undo what the other does")

    def give_back(self) -> None:
        """Remove the lock where it is still this command's, though it be stopped while it took it."""
        if self._refused:
            return
        self._over.set()
        if self._renewing.is_alive():
            self._renewing.join()
        try:
            there = self._store.read(self._config)
            if there and (mine := _read(there[0])) and mine.token == self._lock.token:
                self._store.remove(self._config)
        except CloudError as error:
            terminal.aside(f"the lock of {self._config.name!r} stays for {LEASE_S:.0f} s: {error}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _written(lock: Lock) -> bytes:
    return json.dumps(asdict(lock)).encode()


def _read(body: bytes) -> Lock | None:
    """None for what is no lock of ours, which nobody renews."""
    try:
        lock = Lock(**json.loads(body))
        datetime.fromisoformat(lock.until)
    except (ValueError, TypeError):
        return None
    return lock


def _is_gone(lock: Lock) -> bool:
    if datetime.fromisoformat(lock.until) < datetime.now(UTC):
        return True
    if lock.host != socket.gethostname():
        return False
    return lock.token not in _held_here if lock.pid == os.getpid() else not _runs(lock.pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


def _refusal(name: str, other: Lock | None) -> str:
    if other is None:
        return f"another command is changing {name!r}: give this one again when it has ended"
    return (
        f"{other.who} on {other.host} is changing {name!r} (`{other.verb}`, since {other.since}, process "
        f"{other.pid}): nothing was changed. Give this command again when that one has ended; if it was "
        f"killed, after {other.until}"
    )
