"""Workers on a Ray cluster, called as those on this machine are (workers.py), so that one loop serves both.

A cluster that RAY_ADDRESS names is joined; without it one is started here, for this run alone. Ray's actors,
not Ray Data: a dataset reads its input in tasks of the cluster, so it cannot be fed piece by piece from here,
where files are cut, checked and given up; and it gives rows that kill their actor to the next actor for ever.
Nothing is read with Ray: Parquet goes through pyarrow, in the workers, as everywhere in the kit.

What a handler takes from the environment, from installed packages and from a GPU is what the cluster's nodes
have. What it prints comes back on stderr, with the worker's name before it.
"""

from __future__ import annotations

import importlib
import os
import secrets
import signal
import socket
import sys
import tarfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.serving import log
from inference.serving.batch import ray_worker
from inference.serving.batch.pieces import Unreadable, read
from inference.serving.batch.ray_worker import PART, PREFIX, Shipment
from inference.serving.errors import StartError
from inference.serving.processes.workers import Job, Reply, WorkersFailed

_KIT = Path(__file__).parents[3]
_INSTALL = "pip install -r inference/serving/requirements-ray.txt (make does it for ENGINE=ray)"
# One that is worked on and one that is on its way meanwhile.
_HELD = 2
_MOST_FAILED_STARTS = 3
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How long a signal may have to wait.
_LISTEN_S = 0.5
_CONNECT_S = 10.0
_SAY_AFTER_S = 10.0
_END_S = 5.0
_STORE_FOR_EACH = 64 * 2**20
_STORE_AT_LEAST = 192 * 2**20
# Source: docs.ray.io/en/latest/ray-core/configure.html and ray-security/token-auth.html. Without a token of
# our own Ray would put one into the user's home.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_COLOR_PREFIX": "0", "RAY_DEDUP_LOGS": "0"}
_ALONE = {
    # Ray's own default on macOS and Windows: every one of its servers listens on the loopback address only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # A worker that reserves no GPU sees those that there are, as it does without Ray.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
}


@dataclass(eq=False)
class _Worker:
    """An actor, and the pieces that it holds, in the order given. With one piece `alone` it gets no more."""

    actor: Any
    ready: bool = False
    alone: bool = False
    held: deque[tuple[int, Any]] = field(default_factory=deque)


@dataclass(eq=False)
class RayWorkers:
    """As workers.Workers: call start, then give and take in turn, and close in the end, whatever happened."""

    job: Job
    _ray: Any = None
    _shipment: Shipment | None = None
    _home: tuple[Path, int] | None = None
    _crew: list[_Worker] = field(default_factory=list)
    _refs: dict[Any, _Worker] = field(default_factory=dict)
    _again: deque[tuple[int, Any]] = field(default_factory=deque)
    _suspects: set[int] = field(default_factory=set)
    _unread: list[Reply] = field(default_factory=list)
    _failed_starts: int = 0

    shared = False

    def start(self) -> None:
        """Start or join Ray, and wait for the first worker. StartError where there is no Ray, or where the
        handler does not load; the log says why."""
        address = os.environ.get("RAY_ADDRESS", "")
        address = "" if address == "local" else address  # Ray's own word for one that is started here
        self._ray = _ray({} if address else {**_ALONE, "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        try:
            with _SignalsWait():
                self._join(address) if address else self._start_here()
        except Exception as error:  # of a dozen classes: no such place, no disk, another version or token
            raise StartError(_unstarted(address, error)) from None
        self._shipment = self._shipped(bool(address))
        for _ in range(self.job.count):
            self._add()
        said, started = False, time.monotonic()
        while not any(worker.ready for worker in self._crew):
            self._heard()
            if not said and time.monotonic() - started > _SAY_AFTER_S:
                said = True
                log.event("waiting for a worker: Ray has no free CPU for one yet, or its model is loading")

    def has_room(self) -> bool:
        """Whether a worker can take one more. None does until what is to be done alone is under way."""
        while self._again and (worker := self._freest()) is not None and not worker.held:
            worker.alone = True
            self._hand(worker, *self._again.popleft())
        return not self._again and self._freest() is not None

    def give(self, key: int, message: Any) -> None:
        """Hand a piece's message to a worker, with its bytes: where that one runs, the file may not be."""
        worker = self._freest()
        if worker is None:
            raise RuntimeError("no worker has room: ask has_room first")
        try:
            message = ("", 0, 0, read(message))
        except (Unreadable, OSError) as error:
            self._unread.append(Reply(key, (0, 0, b"", 0, [], (None, str(error)))))
            return
        if key in self._suspects:
            self._again.append((key, message))
        else:
            self._hand(worker, key, message)

    def take(self) -> list[Reply]:
        """Wait until something happens and return the replies there are, maybe none.

        A worker that died is replaced. WorkersFailed where none comes up any more.
        """
        found = self._unread or self._heard()
        self._unread = []
        return found

    def close(self) -> None:
        """End every worker, and Ray itself where it was started here."""
        if self._ray is None:
            return
        with _SignalsWait():
            if self._ray.is_initialized():
                self._leave()
            self._ray.shutdown()
            if self._home is not None:
                ray_worker.remove_if_free(*self._home)
            self._ray = None

    def _start_here(self) -> None:
        # The paths of Ray's sockets begin with it, and may have 107 bytes: a longer TMPDIR would not do.
        self._home = ray_worker.taken(Path("/tmp"), PREFIX + secrets.token_hex(8))  # noqa: S108 - it is private
        self._ray.init(
            address="local",
            num_cpus=self.job.count,
            object_store_memory=max(_STORE_AT_LEAST, _STORE_FOR_EACH * self.job.count),
            include_dashboard=False,
            logging_level="error",
            _temp_dir=str(self._home[0]),
        )

    def _join(self, address: str) -> None:
        _reach(address)
        self._ray.init(address=address, logging_level="error")

    def _shipped(self, elsewhere: bool) -> Shipment:
        """What every worker needs: as places, or where it may be on another machine as parts in the store."""
        kit, model = str(_KIT), str(self.job.model_dir.resolve())
        name = PREFIX + secrets.token_hex(16)
        parts = _packed(self._ray.put, self.job.model_dir) if elsewhere else ()
        strangers = (str(_KIT), os.path.abspath(""))  # noqa: PTH100 - as Ray has it
        return Shipment(kit, model, name, parts, strangers, self.job.environment)

    def _add(self) -> None:
        """Ask for one more worker; it is ready when its handler is loaded."""
        worker = _Worker(self._ray.remote(ray_worker.Scorer).options(num_cpus=1).remote())
        job = self.job
        self._refs[worker.actor.load.remote(self._shipment, job.task, job.settings, job.count)] = worker
        self._crew.append(worker)

    def _freest(self) -> _Worker | None:
        able = [one for one in self._crew if one.ready and not one.alone and len(one.held) < _HELD]
        return min(able, key=lambda worker: len(worker.held), default=None)

    def _hand(self, worker: _Worker, key: int, message: Any) -> None:
        worker.held.append((key, message))
        self._refs[worker.actor.answer.remote(message)] = worker

    def _heard(self) -> list[Reply]:
        """What the first worker that has something to say says, if one has soon."""
        with _SignalsWait():
            ready, _ = self._ray.wait(list(self._refs), num_returns=1, timeout=_LISTEN_S)
            return [reply for ref in ready if (reply := self._hear(ref)) is not None]

    def _hear(self, ref: Any) -> Reply | None:
        worker = self._refs.pop(ref)
        try:
            said = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return self._replace(worker, error)
        if not worker.ready:
            _refuse(said)
            worker.ready, self._failed_starts = True, 0
            return None
        key, _ = worker.held.popleft()
        worker.alone = False
        return Reply(key, said)

    def _replace(self, worker: _Worker, error: Exception) -> Reply | None:
        """A new worker for a lost one. A piece that it held alone is lost with it. Of several nobody knows
        which it died over, for the answer to one may have died with it: each is done again, alone."""
        log.event(f"a worker was lost and is replaced: {_reason(error)}")
        self._ray.kill(worker.actor)
        self._crew.remove(worker)
        self._refs = {ref: other for ref, other in self._refs.items() if other is not worker}
        self._failed_starts += not worker.ready
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise WorkersFailed(f"{self._failed_starts} workers in a row ended before they were ready")
        self._add()
        if len(worker.held) != 1:
            self._again.extend(worker.held)
            return None
        key, _ = worker.held[0]
        self._suspects.add(key)
        return Reply(key, lost=True)

    def _leave(self) -> None:
        """End all, and let those that are not at work take away what was unpacked beside them."""
        busy = list(self._refs.values())
        idle = [worker for worker in self._crew if worker not in busy]
        for worker in busy:
            self._ray.kill(worker.actor)
        if idle and self._home is None:
            self._ray.wait(
                [worker.actor.leave.remote() for worker in idle], num_returns=len(idle), timeout=_END_S
            )
        for worker in idle:
            self._ray.kill(worker.actor)


def _refuse(said: str) -> None:
    if said:
        sys.stderr.write(said)
        raise WorkersFailed("the model could not be loaded")


def _reach(address: str) -> None:
    """OSError where nobody listens at a host:port: Ray would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def _unstarted(address: str, error: Exception) -> str:
    if not address:
        return f"Ray cannot be started on this machine: {_reason(error)}"
    return (
        f"RAY_ADDRESS {address}: {_reason(error)}; expected a Ray cluster of this Python and Ray, "
        "or no RAY_ADDRESS, to start one here"
    )


def _ray(settings: dict[str, str]) -> Any:
    """The library, which takes a second to import, and reads its settings while it does."""
    os.environ.update({**_QUIET, **settings})
    try:
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise StartError(f"--engine ray takes Ray, which is not installed ({error}): {_INSTALL}") from None
    ray.cloudpickle.register_pickle_by_value(ray_worker)
    # Ray would take SIGTERM for itself, and leave in the middle of its start: processes of its would stay.
    ray._private.utils.set_sigterm_handler = lambda _: None
    return ray


class _SignalsWait:
    """What a signal raises in the middle of a call of Ray's, Ray may swallow, and a start or an end that is
    cut off leaves processes behind. So while this lasts signals wait; they come at its end."""

    def __enter__(self) -> None:
        self._came: list[int] = []
        self._kept = {
            number: signal.signal(number, lambda number, _: self._came.append(number))
            for number in _STOP_SIGNALS
        }

    def __exit__(self, *_: object) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)
        if self._came:
            signal.raise_signal(self._came[0])


def _packed(put: Callable[[bytes], Any], model_dir: Path) -> tuple[Any, ...]:
    """The kit's package and the model as a tar, a part at a time; the parts' references."""
    parts: Any = _Put(put)
    open_tar: Any = tarfile.open  # copybufsize is documented, and missing in its types
    with open_tar(fileobj=parts, mode="w|", bufsize=PART, copybufsize=PART, dereference=True) as packed:
        package = _KIT / "inference"
        packed.add(package / "__init__.py", "kit/inference/__init__.py")
        packed.add(package / "serving", "kit/inference/serving", filter=_source)
        packed.add(model_dir, "model")
    return tuple(parts.references)


def _source(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith("__pycache__") else member


class _Put:
    """The parts as the file that tarfile wants."""

    def __init__(self, put: Callable[[bytes], Any]) -> None:
        self.references: list[Any] = []
        self._put = put

    def write(self, data: bytes) -> int:
        self.references.append(self._put(bytes(data)))
        return len(data)


def _reason(error: BaseException) -> str:
    """One line of what Ray says: a task's error is a traceback and ends with it, the others begin with it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if hasattr(error, "cause") else lines[0]
