"""Which file of FROM goes into inference/ and which into build/model/: decided here, and nothing is copied.

code/ is code, and all else is the model's. Where both lie in one folder, Python and requirements.txt are
code, weights are the model's, and what is small and may be read from either place goes to both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deploy.importing import ImportingError
from deploy.importing.recognising import BARE, SKLEARN, XGBOOST
from deploy.importing.runtime import Reading

REQUIREMENTS = "requirements.txt"
_CODE, _MANIFEST = "code/", "MAR-INF/"
_WEIGHTS = {
    *(".pt", ".pth", ".bin", ".safetensors", ".onnx", ".ckpt", ".h5", ".keras", ".pb", ".gguf", ".tflite"),
    *(".joblib", ".pkl", ".pickle", ".bst", ".ubj", ".npy", ".npz", ".model"),
}
_SMALL = 1024 * 1024
# The runtime shows these handlers model and code as one folder: one place is enough.
_JOINED = {"TORCHSERVE", "ENDPOINT_HANDLER", *BARE}
_PREDICTORS = {SKLEARN: ("sklearn", "SklearnPredictor"), XGBOOST: ("xgboost", "XgboostPredictor")}
# The names that those predictors look for.
_RENAMED = {".bst": "model.bst", ".joblib": "model.joblib", ".pkl": "model.pkl", ".pickle": "model.pkl"}
# The second where the first is somebody's own, which is no Predictor.
_PREDICTOR_FILES = ("predictor.py", "slipway_predictor.py")
_PREDICTOR = '''\
"""The predictor that Google's SDK brings for this model; override its steps here."""

from google.cloud.aiplatform.prediction.{package}.predictor import {base}


class Model{base}({base}):
    pass
'''


@dataclass(frozen=True)
class Layout:
    """The files by their names below inference/ and build/model/; `written` is new text for inference/."""

    code: Mapping[str, Path]
    model: Mapping[str, Path]
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> list[str]:
        """The files of both places."""
        return sorted(self.code.keys() & self.model.keys())


def laid(reading: Reading, files: Mapping[str, Path]) -> Layout:
    """Where each of the files goes. Raises ImportingError for one whose place is taken."""
    layout = _in_folders(files) if any(name.startswith(_CODE) for name in files) else _flat(reading, files)
    layout = _with_requirements(layout, files) if reading.shape == "TORCHSERVE" else layout
    if reading.shape in _PREDICTORS:
        layout = _packaged(reading, layout)
    if any(name.startswith("serving/") for name in layout.code):
        raise ImportingError("serving/: in inference/ this name is the runtime's own; rename the folder")
    return layout


def _in_folders(files: Mapping[str, Path]) -> Layout:
    code = {name.removeprefix(_CODE): path for name, path in files.items() if name.startswith(_CODE)}
    return Layout(code, {name: path for name, path in files.items() if not name.startswith(_CODE)})


def _flat(reading: Reading, files: Mapping[str, Path]) -> Layout:
    code, model = {}, {}
    for name, path in files.items():
        if _is_code(reading, name):
            code[name] = path
        else:
            model[name] = path
            if reading.shape not in _JOINED and _may_be_read_beside_code(path):
                code[name] = path
    return Layout(code, model)


def _is_code(reading: Reading, name: str) -> bool:
    # A pipeline's own modules are named in its config.json, and found beside it.
    is_python = name.endswith(".py") and reading.shape != "PIPELINE"
    return is_python or name == REQUIREMENTS or name.startswith(_MANIFEST)


def _may_be_read_beside_code(path: Path) -> bool:
    return path.suffix.lower() not in _WEIGHTS and path.stat().st_size <= _SMALL


def _with_requirements(layout: Layout, files: Mapping[str, Path]) -> Layout:
    """With what a .mar's manifest calls its requirements where requirements are installed from."""
    manifest = layout.code.get(f"{_MANIFEST}MANIFEST.json") or files.get(f"{_MANIFEST}MANIFEST.json")
    named = PurePosixPath(_requirements_of(manifest) if manifest else "").name
    if not named or named not in files:
        return layout
    model = {name: path for name, path in layout.model.items() if name != named}
    return Layout({**layout.code, REQUIREMENTS: files[named]}, model, layout.written)


def _requirements_of(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_bytes())["model"].get("requirementsFile", ""))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ImportingError(
            f"{_MANIFEST}MANIFEST.json: {error!r}; expected what torch-model-archiver writes"
        ) from None


def _packaged(reading: Reading, layout: Layout) -> Layout:
    package, base = _PREDICTORS[reading.shape]
    model = {name: path for name, path in layout.model.items() if name != reading.file}
    model[_RENAMED[PurePosixPath(reading.file).suffix]] = layout.model[reading.file]
    name = next(name for name in _PREDICTOR_FILES if name not in layout.code)
    return Layout(layout.code, model, {name: _PREDICTOR.format(package=package, base=base)})
