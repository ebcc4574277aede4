"""Models and handlers as people have them, one for each kind, and the verb that imports them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import main

ROOT = Path(__file__).parents[3]
MODEL_FN = """\
import json
import os

import words


def model_fn(model_dir):
    with open(os.path.join(model_dir, "weights.json")) as file:
        return json.load(file)["factor"]


def predict_fn(data, model):
    return [words.FACTOR * model * value for value in data]
"""
PREDICTOR = """\
import json

from google.cloud.aiplatform.prediction.predictor import Predictor
from google.cloud.aiplatform.utils import prediction_utils


class Multiplier(Predictor):
    def load(self, artifacts_uri):
        prediction_utils.download_model_artifacts(artifacts_uri)
        with open("weights.json") as file:
            self.factor = json.load(file)["factor"]

    def predict(self, instances):
        return {"predictions": [self.factor * value for value in instances["instances"]]}
"""
SERVICE = """\
import os

import words


class Service:
    def initialize(self, context):
        with open(os.path.join(context.system_properties["model_dir"], "label.txt")) as file:
            self.label = file.read().strip()

    def handle(self, data, context):
        return [[self.label, words.FACTOR, row["body"]] for row in data]
"""
ENDPOINT = """\
import os


class EndpointHandler:
    def __init__(self, path=""):
        with open(os.path.join(path, "vocabulary.txt")) as file:
            self.words = file.read().split()

    def __call__(self, data):
        return [self.words.index(data["inputs"])]
"""
WORDS = "FACTOR = 1\n"
WEIGHTS = '{"factor": 3}'
MANIFEST = {
    "runtime": "python",
    "model": {
        "modelName": "told",
        "modelVersion": "1.0",
        "handler": "service.py",
        "requirementsFile": "needs.txt",
    },
}
SOURCE = {
    "serve.py": MODEL_FN,
    "words.py": WORDS,
    "weights.json": WEIGHTS,
    "requirements.txt": "requests\n",
    "sample.json": "[1, 2]",
}
MAR = {
    "service.py": SERVICE,
    "words.py": WORDS,
    "label.txt": "known\n",
    "needs.txt": "requests\n",
    "MAR-INF/MANIFEST.json": json.dumps(MANIFEST),
}


def folder(place: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return place


def tarball(place: Path, files: Mapping[str, str | bytes]) -> Path:
    """A model.tar.gz with these files."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:gz") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return place


def mar(place: Path, files: Mapping[str, str]) -> Path:
    """A .mar with these files."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return place


def torchscript(place: Path) -> Path:
    """A model.pt that doubles."""
    import torch  # costs seconds, and one test wants it

    class Doubling(torch.nn.Module):
        def forward(self, rows):
            return rows * 2

    place.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and what people have
        torch.jit.save(torch.jit.trace(Doubling(), torch.ones(2)), str(place))
    return place


def packaged(place: Path) -> Path:
    """A pickled model of a class of one's own."""
    source = "class Scaler:\n    def predict(self, rows):\n        return rows * 3\n"
    files = {"scaling.py": source, "model.pkl": b"cscaling\nScaler\n)\x81."}
    return folder(place, files)


KINDS: dict[str, Callable[[Path], Path]] = {
    "a source folder of SageMaker's": lambda place: folder(place / "source", SOURCE),
    "a model.tar.gz": lambda place: tarball(
        place / "model.tar.gz",
        {"weights.json": WEIGHTS, "code/inference.py": MODEL_FN, "code/words.py": WORDS},
    ),
    "code/ and the model.tar.gz that goes with it": lambda place: _beside(place / "both"),
    "a Predictor of Vertex AI": lambda place: folder(
        place / "routine", {"predictor.py": PREDICTOR, "weights.json": WEIGHTS}
    ),
    "a packaged model": lambda place: packaged(place / "packaged"),
    "a .mar": lambda place: mar(place / "told.mar", MAR),
    "the files of a .mar": lambda place: folder(
        place / "files", {name: text for name, text in MAR.items() if not name.startswith("MAR-INF")}
    ),
    "an EndpointHandler": lambda place: folder(
        place / "repository",
        {"handler.py": ENDPOINT, "vocabulary.txt": "zero one two", ".gitattributes": "x"},
    ),
    "a pipeline": lambda place: folder(
        place / "pipeline",
        {
            "config.json": '{"architectures": ["BertForSequenceClassification"]}',
            "model.safetensors": b"weights",
        },
    ),
    "TorchScript": lambda place: torchscript(place / "doubling" / "model.pt"),
}


def _beside(place: Path) -> Path:
    tarball(place / "model.tar.gz", {"weights.json": WEIGHTS, "code/old.py": "x = 1\n"})
    return folder(place, {"code/inference.py": MODEL_FN, "code/words.py": WORDS})


@pytest.fixture
def kind(tmp_path: Path) -> Callable[[str], Path]:
    """Makes one of KINDS and returns where it lies."""
    return lambda name: KINDS[name](tmp_path / "from")


@pytest.fixture
def run_import(tmp_path: Path) -> Callable[..., int]:
    """Runs the verb, and sees to it that nothing of FROM has changed and nothing half-made is left."""

    def run(source: Path, *options: str, to: Path | None = None) -> int:
        before = seen(source)
        status = main(["import", "--from", str(source), "--to", str(to or tmp_path / "project"), *options])
        assert seen(source) == before
        assert [path.name for path in tmp_path.rglob(".slipway-import-*")] == []
        return status

    return run


def seen(place: Path) -> dict[str, tuple[str | bytes, int, int]]:
    """Every file and folder with its bytes, its time and its links."""
    paths = [path for path in (place, *sorted(place.rglob("*"))) if path.exists() or path.is_symlink()]
    return {
        str(path): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
            path.lstat().st_mtime_ns,
            path.lstat().st_nlink,
        )
        for path in paths
    }


@pytest.fixture
def listed() -> Callable[[Path], set[str]]:
    """The files below a folder."""
    return lambda place: {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def account(cloud: Any) -> Callable[[Path], None]:
    """Makes what a project's deploy.toml names and must exist before: its buckets and its role."""

    def make(project: Path) -> None:
        command = [sys.executable, "-m", "infra.local", "env", "--project", str(project)]
        done = subprocess.run(
            command, cwd=ROOT, env=cloud.local.shell, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return make
