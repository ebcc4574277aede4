"""What runs in a worker of a Ray cluster: it brings the kit and the model there, then does a worker's work.

The node may have neither of the two. So Ray gets this module by value (see on_ray.py), and nothing of the kit
may be imported here before what was shipped is unpacked.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "slipway-ray-"
# tarfile reads and writes a stream in blocks of this size; each is one object in Ray's store.
PART = 4 * 2**20
# Others on the node that are being killed still hold their locks for a moment.
_LEAVE_S = 3.0
_AGAIN_S = 0.05


@dataclass(frozen=True)
class Shipment:
    """The kit and the model: where they lie, for workers on this very machine, or `parts`, a tar of both as
    objects in Ray's store, for a folder of this `name` on each node. `strangers` are folders of the driver's
    that Ray puts on a worker's sys.path, and that the handler must not see. `environment` are variables that
    the handler is to have, as name and value."""

    kit: str
    model: str
    name: str = ""
    parts: tuple[Any, ...] = ()
    strangers: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


class Scorer:
    """The actor: load once, then answer."""

    def __init__(self) -> None:
        self._answer: Any = None
        self._place: tuple[Path, int] | None = None

    def load(self, shipment: Shipment, task: str, settings: Any, count: int) -> str:
        """Load the handler. "" where that went well; else what the log has to say: an exception would need
        classes that the other side unpickles, and this side has by then put away."""
        os.environ.update(shipment.environment)
        kit, model = shipment.kit, shipment.model
        if shipment.parts:
            self._place = _unpacked(shipment)
            kit, model = (str(self._place[0] / name) for name in ("kit", "model"))
        sys.path[:] = [kit, *(entry for entry in sys.path if entry not in (kit, *shipment.strangers))]
        ours = importlib.import_module
        errors, log, worker = (
            ours(f"inference.serving.{name}") for name in ("errors", "log", "processes.worker")
        )
        worker.log_what_is_printed()
        try:
            self._answer = worker.answerer(
                worker.Wanted(model, task, settings, count, copies=True, may_fork=False)
            )
        except errors.StartError as error:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                log.failure(str(error), error.__cause__)
            return said.getvalue()
        return ""

    def answer(self, message: Any) -> Any:
        """The task's reply to a message, both plain data."""
        return self._answer(message)

    def leave(self) -> None:
        """Let go of what was unpacked; the last one on a node takes it away."""
        if self._place is not None:
            remove_if_free(*self._place, _LEAVE_S)


class _Parts:
    """The parts as the file that tarfile wants: each is read as a whole, and only one is here at a time."""

    def __init__(self, parts: Iterable[Any]) -> None:
        self._parts = iter(parts)
        self._ray: Any = importlib.import_module("ray")

    def read(self, _: int) -> bytes:
        part = next(self._parts, None)
        return b"" if part is None else bytes(self._ray.get(part))


# Debian 12's Python 3.11 has no filter yet.
_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def taken(folder: Path, name: str) -> tuple[Path, int]:
    """A folder of that name, for this user alone, and a lock on it that says that it is in use for as long as
    this process lives. Those that killed processes have left beside it are taken away."""
    for other in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            if other.name != name:
                remove_if_free(other, os.open(other, os.O_RDONLY))
    place = folder / name
    place.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(place, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return place, lock


def remove_if_free(place: Path, lock: int, seconds: float = 0) -> None:
    """Give up the lock, and take the folder away if within so many seconds nobody else holds one."""
    deadline = time.monotonic() + seconds
    try:
        while not _is_free(lock):
            if time.monotonic() >= deadline:
                return
            time.sleep(_AGAIN_S)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(lock)


def _is_free(lock: int) -> bool:
    # Source: flock(2): to ask for the other kind of lock gives up the one that was held, granted or not.
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unpacked(shipment: Shipment) -> tuple[Path, int]:
    """The folder on this node, unpacked by the worker that is there first, and the lock on it."""
    # Nobody can have guessed the name and be there before us.
    place, lock = taken(Path(tempfile.gettempdir()), shipment.name)
    fcntl.flock(lock, fcntl.LOCK_EX)
    whole = place / "whole"
    if not whole.exists():
        parts: Any = _Parts(shipment.parts)
        with tarfile.open(fileobj=parts, mode="r|", bufsize=PART) as packed:
            # It comes from our driver within the cluster, which runs code of ours in any case.
            packed.extractall(place, **_SAFELY)  # noqa: S202 - as it says above
        whole.touch()
    fcntl.flock(lock, fcntl.LOCK_SH)
    return place, lock
