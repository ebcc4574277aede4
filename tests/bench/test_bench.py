"""The benchmarks run, small, and print the ratios that their README quotes. How fast is not asserted."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "inference" / "samples.jsonl"


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


def test_batch_engines_are_measured_beside_the_bare_loop(
    project: Callable[..., Path], tmp_path: Path
) -> None:
    numbers = tmp_path / "numbers.jsonl"
    numbers.write_text("".join(f"{number}\n" for number in range(3000)))
    only = ("--only", "bare", "local", "cloud")
    printed = bench("bench.batch", "--project", str(project()), "--input", str(numbers), "--memory", *only)
    for what in (
        "(a) the handler in a loop",
        "(b) inference.serving batch",
        "(c) batch-transform, local cloud",
    ):
        assert re.search(rf"{re.escape(what)} +[\d,]+ rows/s +[\d.]+ s +[\d.]+ x", printed), printed
    assert re.search(r"\(b\) at 10 times the rows: \d+ MB", printed), printed


def test_the_flights_are_what_the_handler_takes(tmp_path: Path) -> None:
    bench("bench.flights", str(tmp_path / "flights.jsonl"), "--times", "2")
    lines = (tmp_path / "flights.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 336_776
    assert json.loads(lines[0]).keys() == json.loads(SAMPLES.read_text().splitlines()[0]).keys()
