"""A server under test, from its start to its end, in an environment that holds nothing of this process's."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.serving import processes
from bench.serving.contestants import ROOT, Server
from bench.serving.peers import environments
from bench.serving.workloads import JSON, Prepared

START_S, STOP_S = 180, 10
_POLL_S = 0.01


class Failed(Exception):
    """Why a server has no figures: the message goes into its row."""


@dataclass(frozen=True)
class Place:
    """Where environments lie, and where logs go; and how many workers a server is given."""

    environments: Path
    logs: Path
    workers: int


@dataclass(frozen=True)
class Running:
    """A process that was started at `since` (time.perf_counter) to listen on `port`."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int
    since: float


@dataclass(frozen=True)
class Question:
    """A request for predictions."""

    route: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class _Seat:
    """What one start has to itself: a port, and a folder that is gone afterwards."""

    port: int
    scratch: Path


@contextlib.contextmanager
def started(server: Server, prepared: Prepared, place: Place) -> Iterator[Running]:
    """The server's process, started and no more; all of its processes are gone afterwards."""
    log = place.logs / f"{server.name}.{prepared.workload.name}.log"
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as scratch:
        seat = _Seat(_free_port(), Path(scratch))
        words = [word.format(port=seat.port, workers=place.workers) for word in server.words]
        own = _ours(server, prepared, seat) if server.kit else _theirs(prepared, place, seat)
        python = environments.python(place.environments, server.environment).absolute()
        with log.open("ab") as printed:
            since = time.perf_counter()
            process = subprocess.Popen(
                [str(python), *words],
                env={**_clean(python), **own, **server.variables},
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                preexec_fn=processes.end_with_parent,
            )
        try:
            yield Running(process, log, seat.port, since)
        finally:
            _end(process)


def first_answer(running: Running, ping: str, question: Question) -> float:
    """Seconds from the start to the first answer, asked for once `ping` is 200. Failed where none comes."""
    while _exchange(running.port, "GET", ping)[0] != 200:
        _wait(running, f"{ping} is not answered 200")
    while (found := _post(running, question))[0] != 200:
        _wait(running, f"it answers {_shown(*found)}")
    return time.perf_counter() - running.since


def ask(running: Running, question: Question) -> bytes:
    """The body of an answer. Failed where it is not 200."""
    status, answer = _post(running, question)
    if status != 200:
        raise Failed(f"answers {_shown(status, answer)}")
    return answer


def _clean(python: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = f"{python.parent}:{os.environ['PATH']}"
    return {**kept, "PATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def _ours(server: Server, prepared: Prepared, seat: _Seat) -> dict[str, str]:
    """Where the model is and where to listen, as a container is told."""
    (seat.scratch / "model").symlink_to((server.model or prepared.model).resolve())
    return {
        "PYTHONPATH": str((server.kit or ROOT).resolve()),
        "SAGEMAKER_BASE_DIR": str(seat.scratch),
        "SAGEMAKER_BIND_TO_PORT": str(seat.port),
    }


def _theirs(prepared: Prepared, place: Place, seat: _Seat) -> dict[str, str]:
    """The same for the programs in apps/."""
    return {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "BENCH_MODEL": prepared.workload.model,
        "BENCH_MODEL_DIR": str(prepared.model),
        "BENCH_PORT": str(seat.port),
        "BENCH_WORKERS": str(place.workers),
        "BENCH_SCRATCH": str(seat.scratch),
    }


def _post(running: Running, question: Question) -> tuple[int, bytes]:
    return _exchange(running.port, "POST", question.route, question)


def _exchange(port: int, method: str, path: str, question: Question | None = None) -> tuple[int, bytes]:
    """Status and body; status 0 and why, where nobody answers."""
    body = question.body if question else None
    # Else ours answers an array with an array.
    headers = {"Content-Type": question.content_type, "Accept": JSON} if question else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def _shown(status: int, answer: bytes) -> str:
    return f"{status or 'nothing'}: {answer[:200].decode(errors='replace')}"


def _wait(running: Running, saying: str) -> None:
    status = running.process.poll()
    if status is not None:
        raise Failed(f"ended with status {status}: {_last_words(running.log)}")
    if time.perf_counter() - running.since > START_S:
        raise Failed(f"not ready in {START_S} s, {saying}; its last words: {_last_words(running.log)}")
    time.sleep(_POLL_S)


def _free_port() -> int:
    # Below those that clients are given, and below 32767, which is the last that multi-model-server knows.
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Failed("found no free port from 20000 to 32000")


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it printed nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """First the server alone, so that it can end its own children; then whoever is left."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    processes.end_all(STOP_S)
    process.wait()
