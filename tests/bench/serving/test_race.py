"""The whole command, small: our server, the limits, a peer that is not there. How fast is not asserted."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def race(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.serving", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of environments in which ours is the one that runs the tests."""
    (tmp_path / "slipway").symlink_to(Path(sys.prefix))
    return tmp_path


def test_our_server_the_limits_and_the_goals_come_from_one_command(ours: Path, tmp_path: Path) -> None:
    if shutil.which("wrk") is None and not os.environ.get("CI"):
        pytest.skip("wrk is not installed: apt-get install wrk")
    small = ("--workloads", "tiny", "--connections", "1,4", "--seconds", "1", "--starts", "1")
    only = ("--only", "slipway,litserve")
    done = race(*small, *only, "--environments", str(ours), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    figures = r"( [\d,]+\*? \([\d.]+ / [\d.]+ / [\d.]+\) \|){2} 0 \| [\d,]+ \| [\d,]+ \| [\d.]+ \|"
    assert re.search(rf"\| slipway \|{figures}", done.stdout), done.stdout
    assert "| litserve | not installed: python -m bench.serving.peers make litserve |" in done.stdout
    assert "bare loop, 1 process, batches of" in done.stdout
    assert "tiny: cold start, of importing and loading alone" in done.stdout
    own = next(
        run
        for run in json.loads((tmp_path / "out/results.json").read_text())["runs"]
        if run["kind"] == "ours"
    )
    assert own["windows"][1]["rate"] > 0 < own["windows"][1]["cpu_us"]
    assert own["memory_mb"] > 10
    assert own["cold_s"] > 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--only", "nobody"), "--only: nobody: expected some of echo-1,"),
        (("--workloads", "huge"), "--workloads: huge: expected some of tiny,"),
        (("--variant", "x kit=/nowhere"), "/nowhere: is not a folder"),
        ((), "python -m bench.serving.peers make slipway"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is(
    words: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    done = race(*words, "--environments", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert why in done.stderr
