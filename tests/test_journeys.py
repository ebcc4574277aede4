"""The Makefile's verbs as a person meets them: shell commands, one after the other, without a terminal."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TRAIN = """\
import json, os
from pathlib import Path

out = Path(os.environ["SM_MODEL_DIR"])
out.mkdir(parents=True, exist_ok=True)
(out / "weights.json").write_text(json.dumps({"factor": 3}))
"""


class Shell:
    """Runs commands at the kit's root as a person would, against a local cloud of the test's own."""

    def __init__(self, home: Path, project: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SLIPWAY_", "MAKE"))}
        own = {"SLIPWAY_LOCAL_HOME": str(home), "SLIPWAY_LOCAL_PORT": "0", "PROJECT": str(project)}
        self.environment = {**kept, **own}

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            shell=True,
            cwd=ROOT,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def __call__(self, command: str, **variables: str) -> str:
        """What the command printed on stdout; fails unless it succeeds."""
        done = self.run(command, **variables)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path, project: Callable[..., Path]) -> Iterator[Shell]:
    place = project("journey")
    shutil.rmtree(place / "build")
    (place / "training" / "train.py").write_text(TRAIN)
    own = Shell(tmp_path / "home", place)
    yield own
    own("make -s local-down")


def snippet(printed: str) -> str:
    """The lines of Python that a deploy prints."""
    found = re.search(r"^# the same from Python:\n(.*?)^# end$", printed, re.MULTILINE | re.DOTALL)
    assert found, printed
    return found.group(1)


@pytest.mark.timeout(600)
def test_from_two_files_to_a_live_endpoint_and_back(shell: Shell) -> None:
    handler = Path(shell.environment["PROJECT"], "inference/handler.py")
    first_version = handler.read_text()

    first = shell("make deploy-endpoint")
    assert "answered 2 of 2 samples" in first
    trained = re.search(r"^training job (journey-\S+) completed", first, re.MULTILINE)
    assert trained

    # What it printed does the same in a shell that knows of the local cloud by `make env` alone.
    exports = shell("make -s env")
    assert all(line.startswith("export ") for line in exports.splitlines())
    example = Path(shell.environment["PROJECT"], "call.py")
    example.write_text(snippet(first))
    assert shell(f'eval "$(make -s env)" && {sys.executable} {example}').strip() == "3"

    assert "2 of 2 answered, alike as SageMaker and as Vertex AI ask" in shell("make check")
    plan = shell("make plan")
    assert f"model: of training job {trained[1]}, finished " in plan
    assert "nothing to change" in plan
    assert "nothing to change" in shell("make deploy-endpoint")

    handler.write_text(first_version.replace("self.factor * value", "100 * self.factor * value"))
    assert "update" in shell("make plan")
    assert "answered 2 of 2 samples" in shell("make deploy-endpoint")
    assert shell("make -s invoke").split() == ["300", "750.0"]

    handler.write_text(
        first_version.replace("return [", "raise RuntimeError('broken on purpose')\n        return [")
    )
    broken = shell.run("make deploy-endpoint")
    assert broken.returncode != 0
    assert "RuntimeError: broken on purpose" in broken.stdout + broken.stderr
    assert shell("make -s invoke").split() == ["300", "750.0"]
    assert "RuntimeError: broken on purpose" in shell("make -s logs", SINCE="10m")

    shell("make rollback")
    assert shell("make -s invoke").split() == ["3", "7.5"]
    assert "InService" in shell("make -s status")

    refused = shell.run("make destroy")
    assert refused.returncode != 0
    assert "YES=1" in refused.stderr
    assert "is left" in shell("make destroy YES=1")
    assert "is not deployed" in shell("make -s status")


def test_a_folder_of_files_is_scored_by_a_job_or_here(shell: Shell, tmp_path: Path) -> None:
    given = tmp_path / "it's $HOME"
    given.mkdir()
    (given / "a.jsonl").write_text("1\n\n{}\n")
    (given / "b.jsonl").write_text("2.5\n")
    places = {"INPUT": str(given), "OUTPUT": str(tmp_path / "by a job")}
    failed = shell.run("make batch-transform", **places)
    assert failed.returncode != 0
    assert "  a.jsonl: " in failed.stdout
    told = shell("make batch-transform ON_ERROR=keep", **places)
    assert "2 of 2 files, 3 rows in, 3 rows out, 1 row failed" in told
    shell("make batch-transform ON_ERROR=keep ENGINE=local", **{**places, "OUTPUT": str(tmp_path / "here")})
    names = ["a.jsonl.out", "a.jsonl.errors.jsonl", "b.jsonl.out"]
    by_a_job, here = (
        [(tmp_path / place / name).read_text() for name in names] for place in ("by a job", "here")
    )
    assert by_a_job == here
    assert by_a_job[2] == "7.5\n"
    refused = shell.run("make batch-transform", **{**places, "INPUT": "-x y.jsonl"})
    assert "-x y.jsonl: not there, expected a file or a folder to score" in refused.stderr


def test_a_verb_heals_a_local_cloud_that_was_killed(shell: Shell) -> None:
    import json
    import signal

    shell("make deploy-endpoint")
    state = Path(shell.environment["SLIPWAY_LOCAL_HOME"], "state.json")
    os.kill(json.loads(state.read_text())["pid"], signal.SIGKILL)
    assert "answered 2 of 2 samples" in shell("make deploy-endpoint")


def test_help_names_every_verb(shell: Shell) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    named = re.findall(r"^  make (\S+)", shell("make help"), re.MULTILINE)
    assert sorted(named) == sorted(phony.group(1).split())


def test_a_body_may_hold_what_a_shell_would_run(shell: Shell, tmp_path: Path) -> None:
    shell("make deploy-endpoint")
    body = tmp_path / "$(touch owned) 'a'.csv"
    body.write_text("1\n")
    shell("make -s invoke", BODY=str(body), CONTENT_TYPE="text/csv; header=present")
    assert not (ROOT / "owned").exists()


def test_a_project_may_lie_under_any_path(shell: Shell, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s my $HOME; "100%" `new`'
    shutil.move(shell.environment["PROJECT"], odd)
    (odd / "build").mkdir()
    shutil.copytree(odd / "training", odd / "build" / "model")
    assert "create" in shell("make plan", PROJECT=str(odd))
    assert "create" in shell(f"make plan PROJECT={shlex.quote(str(odd).replace('$', '$$'))}")


@pytest.mark.timeout(900)
def test_the_readme_in_order(tmp_path: Path) -> None:
    """Every command and every program of the README, on the example, as it ships."""
    example = tmp_path / "example"
    for part in ("training", "inference"):
        shutil.copytree(ROOT / part, example / part, ignore=shutil.ignore_patterns("serving", "__pycache__"))
    shutil.copy(ROOT / "deploy.toml", example)
    own = Shell(tmp_path / "home", example)
    # The checks themselves are what runs this test.
    commands = [c for c in blocks("sh") if c not in ("make test", "make lint")]
    try:
        assert commands[0] == "make deploy-endpoint"
        own(commands.pop(0))
        for program in blocks("python", whole=True):
            if "invoke_endpoint" in program:
                (tmp_path / "readme.py").write_text(program)
                answer = own(f'eval "$(make -s env)" && {sys.executable} {tmp_path / "readme.py"}')
                assert re.fullmatch(r'\{"arr_delay":-?\d+,"low":-?\d+,"high":-?\d+\}', answer.strip())
        for command in commands:
            if command == "make rollback":  # there is something to go back to only after a second version
                with (example / "inference" / "handler.py").open("a") as handler:
                    handler.write("# a second version\n")
                own("make deploy-endpoint")
            # Not into the checkout, where a person may have results of their own.
            own(command.replace("OUTPUT=", f"OUTPUT={tmp_path}/"))
    finally:
        own("make -s local-down")


def blocks(language: str, whole: bool = False) -> list[str]:
    """The README's commands (a line each), or its programs."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return found if whole else [line for block in found for line in block.splitlines() if line.strip()]
