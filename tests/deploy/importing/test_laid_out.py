"""What goes where, what is said of it, and that the source stays as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import config
from deploy.importing.layout import laid
from deploy.importing.runtime import Reading

# Each kind, and the files of its project besides deploy.toml.
LAID_OUT = {
    "a source folder of SageMaker's": {
        *(
            "inference/serve.py",
            "inference/words.py",
            "inference/requirements.txt",
            "inference/samples.jsonl",
        ),
        *("inference/weights.json", "inference/sample.json"),
        *("build/model/weights.json", "build/model/sample.json"),
    },
    "a model.tar.gz": {
        *("inference/inference.py", "inference/words.py", "inference/requirements.txt"),
        "build/model/weights.json",
    },
    "code/ and the model.tar.gz that goes with it": {
        *("inference/inference.py", "inference/words.py", "inference/old.py", "inference/requirements.txt"),
        "build/model/weights.json",
    },
    "a Predictor of Vertex AI": {
        *("inference/predictor.py", "inference/weights.json", "inference/requirements.txt"),
        "build/model/weights.json",
    },
    "a .mar": {
        *("inference/service.py", "inference/words.py", "inference/MAR-INF/MANIFEST.json"),
        *("inference/requirements.txt", "build/model/label.txt"),
    },
    "the files of a .mar": {
        *("inference/service.py", "inference/words.py", "inference/requirements.txt"),
        *("build/model/label.txt", "build/model/needs.txt"),
    },
    "an EndpointHandler": {
        *("inference/handler.py", "inference/requirements.txt", "build/model/vocabulary.txt"),
    },
    "a pipeline": {
        *("inference/requirements.txt", "build/model/config.json", "build/model/model.safetensors"),
    },
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_every_file_has_its_place(name, kind, run_import, listed, tmp_path):
    assert run_import(kind(name)) == 0
    assert listed(tmp_path / "project") == {"deploy.toml", *LAID_OUT[name]}
    assert config.load(tmp_path / "project").name == "project"


def test_a_packaged_model_gets_its_predictor_and_the_name_that_it_looks_for(
    kind, run_import, listed, tmp_path, capsys
):
    place = kind("a packaged model")
    (place / "model.pkl").rename(place / "scaler.pickle")
    assert run_import(place, "--handler", "scaler.pickle:sklearn") == 0
    assert listed(tmp_path / "project") == {
        *("deploy.toml", "inference/predictor.py", "inference/scaling.py", "inference/requirements.txt"),
        "build/model/model.pkl",
    }
    told = capsys.readouterr().out
    assert (
        "recognised   scaler.pickle: a scikit-learn model, as Vertex AI's SklearnPredictor serves it" in told
    )
    assert "model.pkl: a pickle runs code when it is loaded: take it from people you trust alone" in told


def test_a_packaged_model_beside_another_servers_handler_is_served_if_handler_says_so(
    kind, run_import, tmp_path
):
    place = kind("a packaged model")
    (place / "predictor.py").write_text("# ours\n")
    (place / "inference.py").write_text("def model_fn(model_dir): ...\n")
    assert run_import(place, "--handler", "sklearn") == 0
    assert (tmp_path / "project/inference/predictor.py").read_text() == "# ours\n"
    assert config.load(tmp_path / "project").serving.handler == "slipway_predictor.py"


def test_what_was_found_and_what_to_do_next_is_said(kind, run_import, tmp_path, capsys):
    (place := kind("a source folder of SageMaker's")).joinpath(".git").mkdir()
    (place / ".git/config").write_text("x")
    (place / "server.key").write_text("x")
    assert run_import(place) == 0
    told = capsys.readouterr().out
    for line in (
        "recognised   serve.py line 7: SageMaker's functions",
        "  - left out: .git, server.key (a secret, going by its name)",
        "  - in both places, as either may be where the code looks: sample.json, weights.json",
        "  - SAGEMAKER_PROGRAM named the entry file: it is known by what it holds, or by [serving] handler",
        "  - inference/samples.jsonl is sample.json: a container must answer it to be healthy",
        f"next: make deploy-endpoint PROJECT={tmp_path / 'project'}",
    ):
        assert line in told.splitlines()


def test_compiled_python_stays_behind_and_is_not_worth_a_word(kind, run_import, listed, tmp_path, capsys):
    place = kind("a Predictor of Vertex AI")
    (place / "__pycache__").mkdir()
    (place / "__pycache__/predictor.cpython-311.pyc").write_bytes(b"x")
    assert run_import(place) == 0
    assert listed(tmp_path / "project") == {"deploy.toml", *LAID_OUT["a Predictor of Vertex AI"]}
    assert "left out" not in capsys.readouterr().out


def test_a_pickle_beside_code_is_what_the_code_loads(kind, run_import, listed, tmp_path):
    place = kind("a Predictor of Vertex AI")
    (place / "preprocessor.pkl").write_bytes(b"csklearn.svm\nSVC\n.")
    assert run_import(place) == 0
    assert "build/model/preprocessor.pkl" in listed(tmp_path / "project")


def test_what_the_shell_has_set_for_a_server_decides_nothing(kind, run_import, tmp_path, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "gone.py")
    monkeypatch.setenv("SLIPWAY_HANDLER", "gone.py")
    assert run_import(kind("a source folder of SageMaker's")) == 0


def test_code_without_a_model_says_where_its_files_go(kind, run_import, tmp_path, capsys):
    place = kind("a source folder of SageMaker's")
    for name in ("weights.json", "sample.json"):
        (place / name).unlink()
    assert run_import(place) == 0
    told = capsys.readouterr().out
    assert f"next: put the model's files into {tmp_path}/project/build/model, then make deploy" in told
    assert "write inference/samples.jsonl, a JSON request a line, like [[5.1, 3.5, 1.4, 0.2]]" in told


@pytest.mark.parametrize(
    ("name", "made"), [("Flight Delay_2", "flight-delay-2"), ("source", "source-slipway")]
)
def test_without_to_the_folder_is_named_after_the_source(kind, tmp_path, name, made):
    place = kind("a source folder of SageMaker's")
    place = place.rename(place.with_name(name))
    # Where it lies itself, its own name is taken.
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "import", "--from", name],
        cwd=place.parent,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert config.load(place.parent / made).name == made
    assert f"next: make deploy-endpoint PROJECT={made}" in done.stdout


def test_handler_decides_and_is_written_where_the_runtime_would_have_to_guess(
    kind, run_import, tmp_path, capsys
):
    place = kind("a source folder of SageMaker's")
    (place / "other.py").write_text("def model_fn(model_dir): ...\n")
    assert run_import(place) == 1
    told = capsys.readouterr().err
    assert "other.py line 1: SageMaker's functions; serve.py line 7: SageMaker's functions" in told
    assert told.endswith("say which: HANDLER=other.py or HANDLER=serve.py\n")
    assert run_import(place, "--handler", "serve.py") == 0
    assert config.load(tmp_path / "project").serving.handler == "serve.py"


def test_an_archive_among_other_files_is_unpacked(kind, run_import, listed, tmp_path):
    place = tmp_path / "from"
    kind("a .mar")
    (place / "config.properties").write_text("service_envelope=json\n")
    assert run_import(place) == 0
    assert {"inference/MAR-INF/MANIFEST.json", "build/model/config.properties"} < listed(tmp_path / "project")


@pytest.mark.parametrize(
    ("shape", "name", "code", "model"),
    [
        ("SAGEMAKER", "net/weights.pt", False, True),
        ("SAGEMAKER", "net/layers.py", True, False),
        ("SAGEMAKER", "net/labels.txt", True, True),
        ("VERTEX", "preprocessor.pkl", False, True),
        ("TORCHSERVE", "labels.txt", False, True),
        ("TORCHSERVE", "MAR-INF/MANIFEST.json", True, False),
        ("ENDPOINT_HANDLER", "model.py", True, False),
        # A pipeline's own code is named in config.json and found beside it.
        ("PIPELINE", "modeling.py", False, True),
    ],
)
def test_a_file_of_a_flat_folder_goes_where_it_is_read(tmp_path, shape, name, code, model):
    path = tmp_path / name.replace("/", "-")
    path.write_text('{"model": {}}')
    layout = laid(Reading(shape, "x.py", "x.py", ""), {name: path})
    assert (name in layout.code, name in layout.model) == (code, model)


def test_what_is_large_is_not_copied_twice(tmp_path):
    (tmp_path / "table.csv").write_bytes(bytes(1024 * 1024 + 1))
    layout = laid(Reading("SAGEMAKER", "x.py", "x.py", ""), {"table.csv": tmp_path / "table.csv"})
    assert (list(layout.code), list(layout.model)) == ([], ["table.csv"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["FROM=a b"], '-m deploy import --from="$FROM"'),
        (["FROM=m.mar", "TO=x", "HANDLER=x.py"], '--from="$FROM" --to="$TO" --handler="$HANDLER"'),
    ],
)
def test_make_hands_on_what_it_was_given(given, words):
    # As a make of its own, also where make runs the tests.
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/bin/python", "import", *given]
    root = Path(__file__).parents[3]
    planned = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert planned.rstrip().endswith(words)
