"""The command line, as a person or a Makefile uses it: words in, words and an exit status out."""

import io
import os
import pty
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import clouds
import pytest

from deploy import terminal
from deploy.__main__ import main
from deploy.options import VERBS, WITHOUT_A_PROJECT, _age

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "deploy"]
TRAIN = """\
import json, os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text(json.dumps({"factor": 7}))
"""
KEYS = {
    "aws": "region, bucket, role, instance_type",
    "gcp": "project, region, bucket, machine_type",
}
# What a training job's script comes to that exits with 3.
EXITED = {"aws": "exit code: 3", "gcp": "non-zero status of 3"}
# What `logs` says where nothing was printed: Cloud Logging has no groups that could be missing.
NO_LOG = {
    "aws": "error: there is no log group /aws/sagemaker/Endpoints/nobody",
    "gcp": "nothing was printed since then",
}


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, **options)


def test_help_names_every_verb_variable_and_exit_status():
    done = run("--help")
    assert done.returncode == 0
    for word in [*VERBS, "PROJECT=", "CLOUD=", "LIVE=1", "YES=1", "exit status", "--follow --since 10m"]:
        assert word in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_own_help(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert ("--project DIR" if verb not in WITHOUT_A_PROJECT else "--from PLACE") in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [[], ["launch"], ["plan", "--cloud", "azure"], ["logs", "--since", "yesterday"], ["plan", "--to", "x"]],
)
def test_wrong_usage_is_exit_status_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: python -m deploy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", timedelta(seconds=30)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_an_age_is_a_number_and_a_unit(text, age):
    assert _age(text) == age


def test_a_mistake_in_deploy_toml_is_a_sentence_and_no_traceback(project):
    place = project("iris")
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text.replace("instance_type", "instnce_type"))
    done = run("deploy-endpoint", "--project", str(place))
    assert done.returncode == 1
    assert "deploy.toml: [aws]: unknown key 'instnce_type', expected one of bucket, " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "build/model.tar.gz").exists()


def test_a_folder_that_is_no_project_is_told(tmp_path, capsys):
    assert main(["status", "--project", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(
        f"error: deploy.toml: not in {tmp_path}; PROJECT (or --project)"
    )


def test_what_a_terminal_cannot_show_is_escaped(tmp_path, monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["status", "--project", str(tmp_path)]) == 1
    terminal.line("5 °C → 41 °F")
    screen.flush()
    assert screen.buffer.getvalue() == rb"5 \xb0C \u2192 41 \xb0F" + b"\n"


@pytest.mark.parametrize(("cloud_name", "other"), [("aws", "gcp"), ("gcp", "aws")])
def test_a_cloud_without_its_section_is_told_what_to_write(project, capsys, cloud_name, other):
    place = project("iris")
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(
        'name = "iris"\n' + text[text.index(f"[{other}]") :].partition("\n\n")[0]
    )
    assert main(["plan", "--cloud", cloud_name, "--project", str(place)]) == 1
    assert capsys.readouterr().err == (
        f"error: deploy.toml: the section [{cloud_name}] is missing, expected one with {KEYS[cloud_name]}\n"
    )


def test_a_plan_without_a_model_says_how_to_get_one(iris, deploy, capsys):
    (iris / "build/model/weights.json").unlink()
    (iris / "build/model").rmdir()
    assert deploy(iris, "plan") == 1
    assert "build/model: there is no model yet; `make train` makes one" in capsys.readouterr().err


def test_a_deploy_without_a_model_trains_one_first(iris, deploy, asked, capfd):
    (iris / "build/model/weights.json").unlink()
    (iris / "build/model").rmdir()
    (iris / "training/train.py").write_text(TRAIN)
    assert deploy(iris) == 0
    assert asked(iris) == 7


def test_a_training_that_fails_ends_the_deploy_before_anything_is_made(cloud, iris, deploy, held, capfd):
    (iris / "build/model/weights.json").unlink()
    (iris / "build/model").rmdir()
    (iris / "training/train.py").write_text("raise SystemExit(3)")
    assert deploy(iris) == 1
    told = capfd.readouterr().err
    assert " failed: " in told and EXITED[cloud.name] in told
    assert told.endswith("; the last model is as it was\n")
    assert {thing for thing in held(iris) if " iris/training/" not in thing} == set()


def test_a_handler_that_cannot_be_served_is_told_before_a_training_and_before_the_network(
    iris, deploy, capfd, monkeypatch
):
    (iris / "build/model/weights.json").unlink()
    (iris / "build/model").rmdir()
    (iris / "training/train.py").write_text("print('trained')")
    (iris / "inference/handler.py").write_text("class Handler:\n    def load(self, model_dir) ...\n")
    with monkeypatch.context() as unreachable:
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "GCE_METADATA_HOST"):
            unreachable.setenv(name, "http://127.0.0.1:9")
        assert deploy(iris) == 1
    told = capfd.readouterr()
    assert "handler.py:2: " in told.err
    assert "trained" not in told.out


def words(cloud: clouds.Cloud, verb: str, place: Path) -> list[str]:
    """What a command line has behind `python -m deploy`."""
    return [verb, "--cloud", cloud.name, "--project", str(place)]


def test_a_deploy_in_a_pipe_is_plain_and_prints_python_that_runs(cloud, iris):
    done = run(*words(cloud, "deploy-endpoint", iris), env=cloud.local.shell)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    script = done.stdout.partition("# the same from Python:\n")[2].partition("# end\n")[0]
    answer = subprocess.run(
        [sys.executable, "-c", script], env=cloud.local.shell, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.strip() == "2", answer.stderr


def test_invoke_posts_a_file_as_what_its_name_says(iris, deploy, tmp_path, capfdbinary):
    assert deploy(iris) == 0
    capfdbinary.readouterr()
    (tmp_path / "numbers.json").write_text('{"instances": [1, 2]}')
    (tmp_path / "numbers.jsonl").write_text("1\n2\n")
    assert deploy(iris, "invoke") == 0
    assert capfdbinary.readouterr().out == b"2\n5.0\n"
    assert deploy(iris, "invoke", "--body", str(tmp_path / "numbers.json")) == 0
    assert capfdbinary.readouterr().out == b'{"predictions":[2,4]}\n'
    assert deploy(iris, "invoke", "--body", str(tmp_path / "numbers.jsonl")) == 0
    assert capfdbinary.readouterr().out == b"2\n4\n"
    (tmp_path / "numbers.json").write_text("{")
    assert deploy(iris, "invoke", "--body", str(tmp_path / "numbers.json")) == 1
    assert b"error: the container answered 400: " in capfdbinary.readouterr().err
    assert deploy(iris, "invoke", "--body", str(tmp_path / "nothing.json")) == 1
    assert b"nothing.json" in capfdbinary.readouterr().err


def test_what_is_not_deployed_is_told(cloud, project, deploy, capsys):
    place = project("nobody")
    assert deploy(place, "status") == 0
    assert capsys.readouterr().out == "nobody is not deployed\n"
    assert deploy(place, "invoke") == 1
    assert capsys.readouterr().err == "error: endpoint 'nobody' is not there: `deploy-endpoint` makes it\n"
    deploy(place, "logs")
    assert NO_LOG[cloud.name] in capsys.readouterr().err
    assert deploy(place, "rollback") == 1
    assert "there is no older version to roll back to" in capsys.readouterr().err


@pytest.mark.parametrize("asking", [["destroy"], ["deploy-endpoint", "--live"]])
def test_a_question_without_a_terminal_is_an_error_that_names_yes(cloud, iris, deploy, held, asking):
    verb, *options = asking
    if verb == "destroy":
        assert deploy(iris) == 0
    before = held(iris)
    done = run(*words(cloud, verb, iris), *options, env=cloud.local.shell, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "There is no terminal to ask on: YES=1 (or --yes) answers yes" in done.stderr
    assert held(iris) == before


def test_live_shows_the_plan_and_asks_before_it_creates(cloud, iris, held):
    command = [*words(cloud, "deploy-endpoint", iris), "--live"]
    said, status = at_a_terminal(command, cloud.local.shell, "n\n")
    assert status == 1
    assert said.index("create") < said.index("Make these changes?") < said.index("nothing was changed")
    assert held(iris) == set()
    said, status = at_a_terminal(command, cloud.local.shell, "y\n")
    assert status == 0
    assert len(held(iris)) == len(cloud.kinds)


def at_a_terminal(words: list[str], environment: dict[str, str], typed: str) -> tuple[str, int]:
    """Runs a command on a terminal of its own; what it showed, and its exit status."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=ROOT, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    os.write(controller, typed.encode())
    shown = b""
    try:
        while data := os.read(controller, 65536):
            shown += data
    except OSError:  # Linux says EIO when the other side has closed
        pass
    os.close(controller)
    return shown.decode(), process.wait(30)


def test_ctrl_c_is_one_sentence_and_exit_status_130(cloud, iris, deploy):
    assert deploy(iris) == 0
    with subprocess.Popen(
        [*COMMAND, *words(cloud, "logs", iris), "--follow"],
        cwd=ROOT,
        env=cloud.local.shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip().splitlines() == [
            "stopped: nothing is half-changed, and the same command again goes on"
        ]


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_reader_that_has_had_enough_is_no_error(iris, deploy, local_cloud):
    assert deploy(iris) == 0
    command = f"{sys.executable} -m deploy logs --project {iris} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env=local_cloud.shell,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
