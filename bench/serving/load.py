"""The load: wrk (Debian's package of that name), closed loop, one thread, with load.lua choosing the bodies.

Closed loop: each connection sends its next request when the last was answered. So a slow server is asked
less, and its percentiles say nothing about a rate that it was never offered; the rate itself is the measure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.serving.workloads import Bodies

SCRIPT = Path(__file__).with_name("load.lua")
TIMEOUT_S = 30


class NoLoad(Exception):
    """The load could not be made: wrk's own words."""


@dataclass(frozen=True)
class Target:
    """Where requests go, and what they carry."""

    port: int
    route: str
    content_type: str
    bodies: Bodies


@dataclass(frozen=True)
class Load:
    """A window of load: requests answered 2xx, requests that were not, and latencies in ms."""

    seconds: float
    answered: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def check_installed() -> None:
    """SystemExit that says how to get wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit(
            "wrk, which makes the load, is not installed: apt-get install wrk (or brew install wrk)"
        )


def drive(target: Target, connections: int, seconds: int) -> Load:
    """Keep that many connections busy for that long. NoLoad where wrk gives no figures."""
    bodies = target.bodies
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += [
        "--timeout",
        f"{TIMEOUT_S}s",
        "--script",
        str(SCRIPT),
        f"http://127.0.0.1:{target.port}",
        "--",
    ]
    command += [str(bodies.file), str(bodies.index), target.content_type, target.route]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise NoLoad(f"wrk: {(done.stderr or done.stdout).strip()[-300:]}")
    return _load(json.loads(lines[-1]))


def _load(told: dict[str, float]) -> Load:
    return Load(
        seconds=told["microseconds"] / 1e6,
        answered=int(told["requests"] - told["refused"]),
        errors=int(told["refused"] + told["broken"]),
        p50_ms=told["p50"] / 1000,
        p95_ms=told["p95"] / 1000,
        p99_ms=told["p99"] / 1000,
    )
