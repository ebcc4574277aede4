"""training/launch.py with real scripts: the contract they see, and what becomes of their model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


# --- In a job's container ---

SAVES_ON_SIGTERM = """
    import os, pathlib, signal, sys, time
    def save(number, frame):
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("so far")
        print("saved", flush=True)
        sys.exit(STATUS)
    signal.signal(signal.SIGTERM, save)
    print("trains", flush=True)
    time.sleep(60)
"""


@dataclass
class Job:
    """A training job's files, as SageMaker lays them below /opt/ml, with launch.py in the code channel."""

    place: Path

    @property
    def code(self) -> Path:
        return self.place / "input" / "data" / "code"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SAGEMAKER_BASE_DIR": str(self.place)}

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.code / "launch.py")]

    def configure(self, **files: Any) -> None:
        for name, content in files.items():
            (self.place / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.code / "train.py").write_text(textwrap.dedent(script))
        command = [*self.command, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def failure(self) -> str:
        return (self.place / "output" / "failure").read_text()

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place / "model" / "told.json").read_text())
        return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = Job(tmp_path / "opt" / "ml")
    (made.place / "input" / "config").mkdir(parents=True)
    made.code.mkdir(parents=True)
    shutil.copy(launch.__file__, made.code)
    return made


def test_a_job_is_told_by_its_files(job: Job) -> None:
    hosts = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth0"}
    job.configure(
        hyperparameters={"rate": "1e-3", "name": '"0.1"', "fast": "true", "layers": "[1, 2]", "text": "a b"},
        resourceconfig={**hosts, "current_instance_type": "ml.m7i.large"},
        inputdataconfig={"train": {}, "code": {}, "sm_drivers": {}},
    )
    done = job.run(TELLS)
    assert (done.returncode, done.stderr) == (0, "")
    told, place = job.told(), job.place
    words = ["--rate", "1e-3", "--name", "0.1", "--fast", "true", "--layers", "[1, 2]", "--text", "a b"]
    assert told["argv"] == words
    hps = {"rate": 0.001, "name": "0.1", "fast": True, "layers": [1, 2], "text": "a b"}
    assert json.loads(told["SM_HPS"]) == hps
    assert json.loads(told["SM_CHANNELS"]) == ["train"]
    assert (told["SM_CURRENT_HOST"], json.loads(told["SM_HOSTS"])) == ("algo-2", ["algo-1", "algo-2"])
    assert told["SM_CURRENT_INSTANCE_TYPE"] == "ml.m7i.large"
    folders = {
        "SM_CHANNEL_TRAIN": place / "input" / "data" / "train",
        "SM_MODEL_DIR": place / "model",
        "SM_OUTPUT_DIR": place / "output",
        "SM_OUTPUT_DATA_DIR": place / "output" / "data",
        "SM_CHECKPOINT_DIR": place / "checkpoints",
    }
    assert {name: told[name] for name in folders} == {name: str(path) for name, path in folders.items()}
    assert all(path.is_dir() for name, path in folders.items() if name != "SM_CHANNEL_TRAIN")
    assert "SM_CHANNEL_CODE" not in told


def test_a_job_without_hyperparameters_or_channels_runs_too(job: Job) -> None:
    assert job.run(TELLS).returncode == 0
    assert (job.told()["argv"], job.told()["SM_CURRENT_HOST"]) == ([], "algo-1")


def test_an_exception_is_the_first_line_of_the_failure_file_with_its_traceback_below(job: Job) -> None:
    script = """
        def fail():
            raise ValueError("no such column: dest")
        print("before")
        fail()
    """
    done = job.run(script)
    assert done.returncode == 1
    assert "before\n" in done.stdout
    first, *below = job.failure().splitlines()
    assert first.endswith("train.py failed with exit status 1: ValueError: no such column: dest")
    assert below[0] == "Traceback (most recent call last):"
    assert below[-1] == "ValueError: no such column: dest"
    assert any("in fail" in line for line in below)


@pytest.mark.parametrize("message", ["x" * 5000, "ü" * 3000, "line\n" * 2000, ""])
def test_a_failure_of_any_length_fits_what_the_platform_reads(job: Job, message: str) -> None:
    assert job.run(f"raise RuntimeError({message!r})").returncode == 1
    assert "RuntimeError" in job.failure()
    assert len(job.failure().encode()) <= 1000


def test_without_a_traceback_the_last_lines_are_the_failure(job: Job) -> None:
    done = job.run("import argparse\nargparse.ArgumentParser().error('--epochs must be above 0')")
    assert done.returncode == 2
    assert "--epochs must be above 0" in job.failure().splitlines()[0]


def test_a_failure_file_of_the_scripts_own_is_left_as_it_is(job: Job) -> None:
    script = """
        import os, pathlib, sys
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("mine")
        sys.exit(5)
    """
    assert job.run(script).returncode == 5
    assert job.failure() == "mine"


def test_a_job_that_leaves_no_model_has_failed(job: Job) -> None:
    done = job.run("pass")
    assert done.returncode == 1
    sentence = "train.py left no file; expected the model in the folder SM_MODEL_DIR names"
    assert job.failure().endswith(sentence)
    assert sentence in done.stderr


def test_a_job_without_its_script_says_so_in_its_failure_file(job: Job) -> None:
    done = subprocess.run(job.command, env=job.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "train.py is not there" in job.failure()


def test_a_script_ended_by_a_signal_fails_the_job_with_that_status(job: Job) -> None:
    assert job.run("import os; os.kill(os.getpid(), 9)").returncode == 128 + 9
    assert "train.py was ended by SIGKILL" in job.failure()


@pytest.mark.parametrize("status", [0, 3])
def test_a_stopped_job_saves_and_ends_with_the_scripts_own_status(job: Job, status: int) -> None:
    (job.code / "train.py").write_text(textwrap.dedent(SAVES_ON_SIGTERM.replace("STATUS", str(status))))
    with subprocess.Popen(
        job.command, env=job.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as launched:
        assert launched.stdout is not None
        assert launched.stdout.readline() == "trains\n"
        launched.terminate()
        rest, errors = launched.communicate(timeout=20)
    assert (launched.returncode, rest) == (status, "saved\n")
    assert errors == "training: stopped before its end; what it has saved is kept\n"
    assert (job.place / "model" / "weights").read_text() == "so far"
    assert not (job.place / "output" / "failure").exists()


def test_output_is_passed_on_as_it_comes_though_no_line_ends(job: Job) -> None:
    script = GOOD + "    print('half a line', end='', flush=True)\n    import time; time.sleep(60)\n"
    (job.code / "train.py").write_text(textwrap.dedent(script))
    with subprocess.Popen(job.command, env=job.environment, stdout=subprocess.PIPE) as launched:
        assert launched.stdout is not None
        assert os.read(launched.stdout.fileno(), 100) == b"half a line"
        launched.terminate()


@pytest.mark.parametrize(
    ("requirements", "asked"),
    [("pytest\n\n# what the tests run with\n", False), ("--no-index\npytest>=7\n", True)],
)
def test_pip_is_asked_only_where_a_requirement_may_not_be_met(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, requirements: str, asked: bool
) -> None:
    (job.code / "requirements.txt").write_text(requirements)
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "pip.log"))
    done = job.run(GOOD)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "pip.log").exists() == asked


@pytest.mark.parametrize(
    ("requirements", "constraints"),
    [("no-such-package-here", ""), ("pytest", "pytest==0.0.1")],
)
def test_requirements_that_cannot_be_had_fail_the_job_before_the_script(
    job: Job, requirements: str, constraints: str
) -> None:
    (job.code / "requirements.txt").write_text(f"--no-index\n{requirements}\n")
    (job.code / "constraints.txt").write_text(constraints)
    done = job.run("print('ran')")
    assert done.returncode == 1
    assert "ran\n" not in done.stdout
    first = job.failure().splitlines()[0]
    assert first.startswith("requirements.txt could not be installed, pip ended with exit status 1: ERROR: ")
    assert requirements in job.failure()


def test_a_project_given_by_name_is_trained_for_itself_in_a_job_too(project: Path, job: Job) -> None:
    write_script(project, GOOD)
    command = [*LAUNCH, "--project", str(project)]
    subprocess.run(command, env=job.environment, check=True)
    assert left(project) == {"model/weights": "new"}
    assert not (job.place / "model").exists()
