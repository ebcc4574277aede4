"""The benchmarks run, small, and print the ratios that their README quotes. How fast is not asserted."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_packaging_is_measured_beside_tarfile() -> None:
    printed = bench("bench.packaging", "--mb", "8", "--kind", "weights")
    assert re.search(r"packaging: [\d.]+ times as fast as tarfile", printed)
    assert {"package", "tarfile", "unpack"} <= set(printed.split())


def test_verbs_and_requests_are_measured_beside_their_yardsticks(project: Callable[..., Path]) -> None:
    printed = bench("bench.verbs", "--project", str(project()), "--times", "1", "--requests", "5")
    for what in ("deploy --help", "unchanged redeploy", "changed handler", "through the local cloud"):
        assert re.search(rf"{what}.* [\d.]+ ms +[\d.]+ x ", printed), printed
