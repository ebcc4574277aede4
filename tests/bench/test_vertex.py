"""The benchmark of CLOUD=gcp runs, small, and prints what its README quotes. How fast is not asserted."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.aiplatform_v1")

ROOT = Path(__file__).parents[2]


def test_verbs_and_predictions_are_measured_beside_their_yardsticks(project: Callable[..., Path]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
    command = [sys.executable, "-m", "bench.vertex", "--project", str(project()), "--times", "1"]
    done = subprocess.run(
        [*command, "--requests", "5"], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("deploy --help", "unchanged redeploy, gcp", "changed handler to an answered request, gcp"):
        assert re.search(rf"{what}.* [\d.]+ ms +[\d.]+ x ", done.stdout), done.stdout
    for kind in ("dedicated", "shared"):
        for how in ("hand", "the SDK"):
            line = rf"predict, {kind} endpoint, by {how} +[\d.]+ ms +[\d.]+ x .* adds -?[\d.]+ ms"
            assert re.search(line, done.stdout), done.stdout
