"""training/launch.py with real scripts: the contract they see, and what becomes of the last model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from training import launch

LAUNCH = [sys.executable, str(Path(launch.__file__))]
GOOD = """
    import os, pathlib
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("new")
"""
TELLS = """
    import json, os, pathlib, sys
    told = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
    told |= {"argv": sys.argv[1:], "cwd": os.getcwd()}
    pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
"""
HALF_THEN_WAITS = """
    import os, pathlib, subprocess, sys, time
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("half")
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(os.getpid(), worker.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a model from an earlier run and no script."""
    (tmp_path / "training").mkdir()
    (tmp_path / "build" / "model").mkdir(parents=True)
    (tmp_path / "build" / "model" / "weights").write_text("old")
    return tmp_path


def write_script(project: Path, text: str) -> None:
    (project / "training" / "train.py").write_text(textwrap.dedent(text))


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*LAUNCH, "--project", str(project), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def left(project: Path) -> dict[str, str]:
    """Every file below build/, so a folder that was forgotten shows too."""
    build = project / "build"
    return {str(path.relative_to(build)): path.read_text() for path in build.rglob("*") if path.is_file()}


def assert_the_last_model_is_untouched(project: Path) -> None:
    assert left(project) == {"model/weights": "old"}
    assert [path.name for path in (project / "build").iterdir()] == ["model"]


def test_a_success_replaces_the_whole_model(project: Path) -> None:
    (project / "build" / "model" / "stale").write_text("old")
    write_script(project, GOOD)
    done = run(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert left(project) == {"model/weights": "new"}
    assert [path.name for path in (project / "build").iterdir()] == ["model"]


def test_a_first_model_needs_no_build_folder(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    write_script(tmp_path, GOOD)
    assert run(tmp_path).returncode == 0
    assert left(tmp_path) == {"model/weights": "new"}


def test_it_runs_as_a_module_in_the_project_itself(project: Path) -> None:
    write_script(project, GOOD)
    root = str(Path(launch.__file__).parents[1])
    command = [sys.executable, "-m", "training.launch", "--project", "."]
    subprocess.run(command, cwd=project, env={**os.environ, "PYTHONPATH": root}, check=True)
    assert left(project) == {"model/weights": "new"}


def test_the_script_is_told_what_script_mode_tells(project: Path) -> None:
    write_script(project, TELLS)
    for channel in ("train", "eval-set"):
        (project / "data" / channel).mkdir(parents=True)
    (project / "data" / "readme.txt").touch()
    assert run(project, "--", "--epochs", "3", "--name=a b", "--fast").returncode == 0
    told = json.loads((project / "build" / "model" / "told.json").read_text())
    assert told["argv"] == ["--epochs", "3", "--name=a b", "--fast"]
    assert json.loads(told["SM_HPS"]) == {"epochs": 3, "name": "a b", "fast": True}
    assert json.loads(told["SM_CHANNELS"]) == ["eval-set", "train"]
    assert told["SM_CHANNEL_TRAIN"] == str(project / "data" / "train")
    assert told["SM_CHANNEL_EVAL-SET"] == str(project / "data" / "eval-set")
    assert told["SM_CURRENT_HOST"] in json.loads(told["SM_HOSTS"])
    assert int(told["SM_NUM_CPUS"]) >= 1
    assert int(told["SM_NUM_GPUS"]) >= 0
    assert Path(told["SM_OUTPUT_DATA_DIR"]) != Path(told["SM_MODEL_DIR"])
    assert told["cwd"] == str(project / "training")


@pytest.mark.parametrize("status", [1, 3])
def test_a_failure_passes_its_status_and_keeps_the_last_model(project: Path, status: int) -> None:
    write_script(project, GOOD + f"    raise SystemExit({status})\n")
    done = run(project)
    assert done.returncode == status
    assert f"train.py failed with exit status {status}; the last model is as it was" in done.stderr
    assert_the_last_model_is_untouched(project)


def test_a_script_ended_by_a_signal_is_reported_by_its_name(project: Path) -> None:
    write_script(project, GOOD + "    os.kill(os.getpid(), 9)\n")
    done = run(project)
    assert done.returncode == 128 + 9
    assert "train.py was ended by SIGKILL" in done.stderr
    assert_the_last_model_is_untouched(project)


def test_a_script_that_leaves_nothing_is_an_error(project: Path) -> None:
    write_script(project, "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'empty').mkdir()\n")
    done = run(project)
    assert done.returncode == 1
    assert "left no file; expected the model in the folder SM_MODEL_DIR names" in done.stderr
    assert_the_last_model_is_untouched(project)


def test_no_script_is_one_plain_line(project: Path) -> None:
    done = run(project)
    script = project / "training" / "train.py"
    expected = f"training: {script} is not there; expected the project's training script\n"
    assert (done.returncode, done.stderr) == (1, expected)
    assert_the_last_model_is_untouched(project)


def test_a_value_without_a_name_is_refused(project: Path) -> None:
    write_script(project, GOOD)
    done = run(project, "--", "--epochs", "3", "4")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "hyperparameter '4' has no name; expected --name value" in done.stderr
    assert_the_last_model_is_untouched(project)


def test_a_build_that_is_no_folder_is_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    write_script(tmp_path, GOOD)
    (tmp_path / "build").touch()
    done = run(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(tmp_path / "build") in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_the_script_with_its_workers_and_keeps_the_last_model(
    project: Path, number: signal.Signals
) -> None:
    write_script(project, HALF_THEN_WAITS)
    command = [*LAUNCH, "--project", str(project)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launched:
        assert launched.stdout is not None
        started = [int(pid) for pid in launched.stdout.readline().split()]
        launched.send_signal(number)
        _, errors = launched.communicate(timeout=20)
    assert launched.returncode == 128 + number
    assert errors == "training: stopped before its end; the last model is as it was\n"
    assert len(started) == 2
    assert_gone(started)
    assert_the_last_model_is_untouched(project)


def assert_gone(pids: list[int]) -> None:
    """A killed process nobody waits for stays a zombie until init takes it: that counts as gone."""
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_hyperparameters_are_numbers_where_they_look_like_numbers() -> None:
    arguments = ["--rate", "1e-3", "--layers=[1,2]", "--shift", "-5", "--name", "x"]
    found = launch.hyperparameters(arguments)
    assert found == {"rate": 0.001, "layers": [1, 2], "shift": -5, "name": "x"}
