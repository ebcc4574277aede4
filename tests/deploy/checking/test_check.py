"""The verb: what would fail on the platform fails here, with its line and the one thing to change."""

from __future__ import annotations

import os
import pickle
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import family
from waiting import is_alive, until

from deploy.__main__ import main

ROOT = Path(__file__).parents[3]
START = "from pathlib import Path\n\n\nclass Handler:\n    def load(self, model_dir):\n        {load}\n"
PREDICT = (
    "\n    def predict(self, inputs):\n        {predict}\n        return [2 * value for value in inputs]\n"
)


def handler(load: str = "pass", predict: str = "pass") -> str:
    return (START + PREDICT).format(load=load, predict=predict)


def test_a_sound_project_passes_and_its_environment_is_kept(project, checked):
    place = project()
    first = checked(place)
    assert (first.status, first.err) == (0, "")
    assert "2 of 2 answered, alike as SageMaker and as Vertex AI ask" in first.out
    assert "nothing is in the way of a deploy" in first.out
    second = checked(place, "--cloud", "gcp")
    assert second.status == 0
    assert "kept from before" in second.out
    assert not list((place / "build").glob(".checking-*"))


def test_a_project_may_lie_under_any_path(project, checked, tmp_path):
    odd = tmp_path / "a b:c'd"
    project().rename(odd)
    assert checked(odd).status == 0


@pytest.mark.usefixtures("needs_isolation")
def test_the_container_is_an_ordinary_user_s_without_a_network(project, checked):
    assert "ok      container    ordinary user, read-only model, no network" in checked(project()).out


BROKEN = {
    "an import that fails": (
        "import statistics\n\nstatistics.mean([])\n\n\n" + handler(),
        "inference/handler.py:3: statistics.StatisticsError",
        "mend what the lines above say",
    ),
    "a package that no requirement names": (
        handler("import hypothesis"),
        "inference/handler.py:6: imports hypothesis, which is not in the container",
        "write hypothesis==",
    ),
    "a module of the project": (
        handler("import training.features"),
        "imports training",
        "put the module beside handler.py, or its package into inference/requirements.txt",
    ),
    "a write to the model's folder": (
        handler('(Path(model_dir) / "cache.bin").write_bytes(b"")'),
        "inference/handler.py:6: writes to /opt/ml/model/cache.bin: the model's folder is read-only",
        "write below tempfile.gettempdir()",
    ),
    "a file beside the handler": (
        handler('(Path(__file__).parent / "compiled").mkdir()'),
        "inference/handler.py:6: writes to inference/compiled: the model's folder is read-only",
        "write below tempfile.gettempdir()",
    ),
    "a path from the working directory": (
        handler('open("build/model/weights.json")'),
        "inference/handler.py:6: opens 'build/model/weights.json' in the working directory",
        "build the path from model_dir",
    ),
    "a file that is not in the model": (
        handler('open(model_dir + "/labels.txt")'),
        "inference/handler.py:6: opens /opt/ml/model/labels.txt, which is not in the archive",
        "put it into build/model",
    ),
    "a sample that fails": (
        handler(predict="inputs[0] / (inputs[0] - 2.5)"),
        "inference/handler.py:9: ZeroDivisionError: float division by zero",
        "mend what the lines above say",
    ),
    "an answer that depends on those before": (
        handler("self.seen = 0", "self.seen += 1; return [self.seen for _ in inputs]"),
        "inference/samples.jsonl:1: the same request was answered otherwise another time: predictions[0] is",
        "keep nothing between requests",
    ),
    "an end in the middle of a request": (
        handler("self.asked = 0", "self.asked += 1; self.asked > 4 and __import__('os')._exit(3)"),
        "the container answered RemoteDisconnected",
        "let no request end it",
    ),
}


@pytest.mark.usefixtures("needs_isolation")
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_with_its_place_and_what_to_change(project, checked, what):
    text, found, fix = BROKEN[what]
    place = project(handler=text)
    settings = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(f"{settings}\n[serving]\nworkers = 2\n")
    done = checked(place)
    assert done.status == 1
    assert found in next(line for line in done.out.splitlines() if line.startswith("error: "))
    assert f"-> {fix}" in done.out
    assert done.err.startswith("error: check: ")


def test_the_traceback_is_the_handler_s_own_with_the_project_s_paths(project, checked):
    done = checked(
        project(handler=handler("self.deeper()\n\n    def deeper(self):\n        raise KeyError(7)"))
    )
    lines = [line.strip() for line in done.out.splitlines()]
    assert 'File "inference/handler.py", line 6, in load' in lines
    assert "KeyError: 7" in lines
    assert "inference/serving" not in done.out
    assert ".checking-" not in done.out


def test_what_shows_only_after_some_requests_shows_here(project, checked):
    """Two processes answer: of the eight requests for the first sample one of them has four at least."""
    text = handler("self.seen = 0", "self.seen += 1; return [self.seen > 4 for _ in inputs]")
    place = project(handler=text, samples="1\n")
    settings = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(f"{settings}\n[serving]\nworkers = 2\n")
    assert "answered otherwise another time" in checked(place).out


CONNECTS = "import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"


@pytest.mark.usefixtures("needs_isolation")
def test_a_handler_that_reaches_for_the_network_is_told_unless_it_is_meant(project, checked):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = project(handler=handler(CONNECTS.format(port=listening.getsockname()[1])))
        refused = checked(place)
        assert refused.status == 1
        assert "error: inference/handler.py:6: reaches for the network" in refused.out
        settings = (place / "deploy.toml").read_text()
        (place / "deploy.toml").write_text(f"{settings}\n[check]\nnetwork = true\n")
        meant = checked(place)
        assert meant.status == 0
        assert "ordinary user, read-only model, with the network" in meant.out


def test_answers_that_may_differ_are_no_error_where_that_is_said(project, checked):
    place = project(handler=handler("self.seen = 0", "self.seen += 1; return [self.seen for _ in inputs]"))
    settings = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(f"{settings}\n[check]\nrepeatable = false\n")
    assert checked(place).status == 0


def test_what_this_machine_cannot_run_is_looked_through_alone(project, checked):
    place = project(handler=handler("raise OSError('no GPU')"))
    settings = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(f"{settings}\n[check]\nrun = false\n")
    done = checked(place)
    assert done.status == 0
    assert "warning container  not run: deploy.toml has [check] run = false" in done.out
    (place / "inference/requirements.txt").write_text("-e .\n")
    assert checked(place).status == 1


def test_requirements_are_held_against_the_processor_that_serves(project, checked, monkeypatch):
    place = project()
    assert checked(place).status == 0  # what this machine needs is there now
    other = "ml.m7g.large" if platform.machine() == "x86_64" else "ml.m7i.large"
    settings = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(settings.replace("ml.m7i.large", other))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    done = checked(place)
    assert done.status == 1
    assert f"error: inference/requirements.txt: not all of it has a wheel for {other}" in done.out


class Bomb:
    def __reduce__(self):
        return os.system, ("true",)


def test_what_is_told_from_files_stops_before_anything_runs(project, checked):
    place = project(handler=handler("Path('/home/me/weights.json').read_text()"))
    (place / "build/model/model.bin").write_bytes(pickle.dumps(Bomb()))
    done = checked(place)
    assert done.status == 1
    assert "error: build/model/model.bin: calls posix.system when it is loaded" in done.out
    assert "error: inference/handler.py:6: '/home/me/weights.json' is a path of this machine" in done.out
    assert done.err == "error: check: 2 errors: nothing was sent anywhere\n"
    assert "container's Python" not in done.out


def test_a_handler_of_another_server_is_asked_as_its_server_was(project, checked):
    place = project()
    (place / "inference/handler.py").unlink()
    (place / "inference/inference.py").write_text(
        "import json\n\n\ndef model_fn(model_dir):\n    return 2\n\n\n"
        "def input_fn(body, content_type):\n    return json.loads(body)['value']\n\n\n"
        "def predict_fn(value, model):\n    return {'twice': model * value}\n"
    )
    (place / "inference/samples.jsonl").write_text('{"value": 2}\n')
    done = checked(place)
    assert (done.status, done.err) == (0, "")
    assert "1 of 1 answered" in done.out


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_handler_that_streams_answers_both_clouds_alike(project, checked, pieces):
    text = handler(predict=f"yield from range({pieces}); return")
    done = checked(project(handler=text))
    assert (done.status, done.err) == (0, "")
    assert "2 of 2 answered" in done.out


@pytest.mark.usefixtures("needs_isolation")
@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_live_deploy_is_checked_first(cloud, iris, held, capfd):
    """Root may write where the local cloud's container may not be written to: nothing else would tell."""
    (iris / "inference/handler.py").write_text(BROKEN["a write to the model's folder"][0])
    assert main(["deploy-endpoint", "--project", str(iris), "--live", "--yes"]) == 1
    said = capfd.readouterr()
    assert "writes to /opt/ml/model/cache.bin" in said.out
    assert said.err == "error: check: 1 error: nothing was sent anywhere\n"
    assert held(iris) == set()


@pytest.fixture
def begun(project: Callable[..., Path]):
    """A check whose handler loads for ever, and all of its processes."""
    place = project(handler=handler("import time; time.sleep(600)"))
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", "check", "--project", str(place)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: len(family(process.pid)) > 2 and "inference.serving" in commands(process.pid), 60)
        yield process, family(process.pid), place
        process.kill()


def commands(pid: int) -> str:
    return " ".join(
        Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for one in family(pid)
        if Path(f"/proc/{one}/cmdline").exists()
    )


def test_ctrl_c_leaves_no_process_and_no_folder(begun):
    process, processes, place = begun
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    until(lambda: not any(map(is_alive, processes)), 10)
    assert not list((place / "build").glob(".checking-*"))


def test_a_check_that_is_killed_takes_its_container_along(begun, checked):
    process, processes, place = begun
    process.kill()
    process.wait()
    until(lambda: not any(map(is_alive, processes)), 10)
    (place / "inference/handler.py").write_text(handler())
    assert checked(place).status == 0
    assert not list((place / "build").glob(".checking-*"))
