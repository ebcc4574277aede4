"""The image's recipe: no shell reads what a build is given, and every argument is looked at first."""

import json
import re
from pathlib import Path

import images
import pytest

from infra.image import entrypoint, environment

FOLDER = images.ROOT / "infra/image"
INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$", re.DOTALL)
GIVEN = {"TORCH": "torch==2.13.0", "TORCH_INDEX": "https://example.com/whl", "DEVICE": "cpu", "EXTRAS": ""}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: word and rest, without comments and with lines joined."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if line.strip()[:1] != "#"]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(match[1], match[2].strip()) for line in joined if (match := INSTRUCTION.match(line))]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """What the builder stage finds beside the program."""
    for name in ("serving/requirements.txt", "serving/requirements-parquet.txt", "handler/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_whatever_runs_is_a_list_of_words():
    run = [rest for word, rest in instructions() if word in {"RUN", "ENTRYPOINT", "CMD"}]
    assert run
    assert all(isinstance(json.loads(rest), list) for rest in run)


def test_build_arguments_stand_where_they_name_an_image_or_label_it():
    """And nowhere else, so that none can become an instruction, a path or a word of a command."""
    words = {word for word, rest in instructions() if "$" in rest and word != "ENV"}
    assert words == {"ARG", "FROM", "LABEL"}


def test_the_runtime_is_started_once_before_the_image_is_done():
    run = [rest for word, rest in instructions() if word == "RUN"]
    assert json.loads(run[-1])[-2:] == ["serve", "--help"]


def test_what_is_ignored_is_all_but_what_is_copied():
    """A build at the kit's root sends no model, no data and no .git to whoever builds."""
    rules = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        path.replace("/requirements*.txt", "")
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for path in rest.split()[:-1]
    }
    assert rules[1] == "*"
    assert copied == allowed


def test_torch_comes_first_from_its_own_index_without_what_it_needs(here):
    wanted = environment.read({**GIVEN, "DEVICE": "cu126"}, here)
    made, torch, rest = environment.commands(wanted, Path("/python"))
    assert made[1:] == ["-m", "venv", "/python"]
    assert torch[-4:] == ["--no-deps", "--index-url", "https://example.com/whl/cu126", "torch==2.13.0"]
    assert "--index-url" not in rest
    assert "--extra-index-url" not in rest
    assert rest[-7:] == [
        "-c",
        str(here / "constraints.txt"),
        "torch==2.13.0",
        "-r",
        str(here / "serving/requirements.txt"),
        "-r",
        str(here / "handler/requirements.txt"),
    ]


def test_without_torch_its_index_is_not_asked(here):
    commands = environment.commands(environment.read({**GIVEN, "TORCH": ""}, here), Path("/python"))
    assert [word for command in commands for word in command if word.startswith(("--index", "torch=="))] == []


def test_an_extra_of_the_runtime_s_is_installed_with_it(here):
    wanted = environment.read({**GIVEN, "EXTRAS": "parquet"}, here)
    assert wanted.requirements[1] == here / "serving/requirements-parquet.txt"


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("TORCH", "torch", "exact versions such as torch==2.13.0"),
        ("TORCH", "--index-url=http://elsewhere", "exact versions"),
        ("TORCH", "torch==2.13.0 -r/etc/passwd", "exact versions"),
        ("TORCH", "torch==2.13.0;touch", "exact versions"),
        ("TORCH", "torch==$(id)", "exact versions"),
        ("DEVICE", "gpu", "cpu, or cu and three digits"),
        ("DEVICE", "../simple", "cpu, or cu and three digits"),
        ("DEVICE", "cu126\n", "cpu, or cu and three digits"),
        ("TORCH_INDEX", "", "an https:// address"),
        ("TORCH_INDEX", "--no-index", "an https:// address"),
        ("EXTRAS", "../handler", "words such as parquet"),
        ("EXTRAS", "nothing", "there is no inference/serving/requirements-nothing.txt"),
    ],
)
def test_an_argument_that_is_wrong_is_named_with_what_is_right(here, name, value, right):
    with pytest.raises(environment.ArgumentError, match=re.escape(f"{name}={value!r}")) as refused:
        environment.read({**GIVEN, name: value}, here)
    assert right in str(refused.value)


def test_serve_and_train_are_programs_of_the_image_s_own_python(here):
    code = here / "input/data/code"
    code.mkdir(parents=True)
    (code / "launch.py").write_text("")
    place = {"SAGEMAKER_BASE_DIR": str(here)}
    assert entrypoint.argv_of(["serve"], place)[1:] == ["-m", "inference.serving", "serve"]
    assert entrypoint.argv_of(["train", "--epochs"], place)[1:] == [str(code / "launch.py"), "--epochs"]


@pytest.mark.parametrize("words", [[], ["bash"], ["Serve"]])
def test_another_word_is_refused(words):
    with pytest.raises(ValueError, match="expected serve or train"):
        entrypoint.argv_of(words, {})
