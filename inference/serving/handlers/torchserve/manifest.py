"""A TorchServe model as it was packed: its files, its manifest, and what of it cannot be carried here."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.serving import log
from inference.serving.errors import StartError, shown
from inference.serving.handlers import starting
from inference.serving.handlers.torchserve import mar, needs

_MANIFEST = "MAR-INF/MANIFEST.json"
_WEIGHTS = {".pt", ".pth", ".onnx"}
_ENVELOPES = {"", "body", "json"}
# What a model-config.yaml may ask for that this runtime has no part for.
_REFUSED = {
    "sequenceBatching": "requests that belong together and a model that keeps state between them",
    "stateful": "a model that keeps state between requests",
    "continuousBatching": "batches that change while they are computed",
    "asyncCommunication": "a handler that answers out of order",
    "parallelType": "one model over several processes",
    "torchrun": "one model over several processes",
}


@dataclass(frozen=True)
class Model:
    """A model's folder, with its code in it, and what it says of itself."""

    folder: Path
    manifest: dict[str, Any]
    config: dict[str, Any]
    envelope: str

    @property
    def name(self) -> str:
        return str(self.manifest["model"].get("modelName", "model"))

    @property
    def handler(self) -> str:
        """The manifest's handler: "file.py", "file.py:function", or one of TorchServe's own by name."""
        return str(self.manifest["model"].get("handler", ""))


def read(model_dir: Path, environment: Mapping[str, str] = os.environ) -> Model:
    """Unpack the .mar, or take its files as they lie in the model's folder and in code/.

    StartError names what is wrong, or what of TorchServe is not carried here.
    """
    beside = starting.one_folder(model_dir)
    folder = _unpacked(beside)
    manifest = _manifest(folder)
    config = _config(folder, manifest["model"].get("configFile", ""))
    for name in sorted(config.keys() & _REFUSED.keys()):
        if config[name]:
            raise StartError(f"model-config: {name}: {_REFUSED[name]} cannot be served here; expected none")
    _tell_of_needs(folder, str(manifest["model"].get("requirementsFile") or ""))
    return Model(folder, manifest, config, _envelope(beside, environment))


def _tell_of_needs(folder: Path, requirements: str) -> None:
    missing = needs.unmet(folder / Path(requirements).name) if requirements else []
    if missing:
        log.event(
            f"{requirements} of the model asks for {', '.join(missing)}, which is not what is installed: "
            "put it into inference/requirements.txt (make import FROM=….mar does)"
        )


def _unpacked(folder: Path) -> Path:
    if workflows := sorted(folder.glob("*.war")):
        raise StartError(f"{workflows[0].name}: a workflow is not served here; expected one model, a .mar")
    archives = sorted(folder.glob("*.mar"))
    if not archives:
        return folder
    if len(archives) > 1:
        names = ", ".join(path.name for path in archives)
        raise StartError(f"{names}: which model is meant is not known; expected one .mar")
    unpacked = starting.temporary_folder()
    mar.unpack(archives[0], unpacked)
    return unpacked


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        return {"model": _as_archived(folder)}
    try:
        manifest = json.loads(path.read_bytes())
        if isinstance(manifest["model"], dict):
            return dict(manifest)
        reason = f'"model" is {shown(manifest["model"])}'
    except (ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise StartError(
        f'{_MANIFEST}: {reason}; expected an object with "model", as torch-model-archiver writes'
    )


def _as_archived(folder: Path) -> dict[str, Any]:
    """What torch-model-archiver would have written for files that lie here without a manifest."""
    weights = sorted(path.name for path in folder.iterdir() if path.suffix in _WEIGHTS)
    found = {"modelName": "model", "modelVersion": "1.0"}
    found |= {"serializedFile": weights[0]} if len(weights) == 1 else {}
    found |= {"modelFile": "model.py"} if (folder / "model.py").is_file() else {}
    return found | ({"configFile": "model-config.yaml"} if (folder / "model-config.yaml").is_file() else {})


def _config(folder: Path, name: str) -> dict[str, Any]:
    if not name:
        return {}
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise StartError(
            f"{name}: PyYAML is not installed; put pyyaml into inference/requirements.txt"
        ) from None
    try:
        config = yaml.safe_load((folder / name).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StartError(f"{name} cannot be read: {error}") from error
    if not isinstance(config, dict | None):
        raise StartError(f"{name}: {shown(config)}; expected names with values")
    return dict(config or {})


def _envelope(folder: Path, environment: Mapping[str, str]) -> str:
    """The service envelope, which TorchServe takes from its environment or its config.properties."""
    stated = environment.get("TS_SERVICE_ENVELOPE", "") or _property(folder, "service_envelope")
    if stated not in _ENVELOPES:
        raise StartError(
            f"service_envelope {shown(stated)} is not spoken here; expected body, json, or none: "
            "the endpoint speaks its cloud's protocol"
        )
    return stated


def _property(folder: Path, name: str) -> str:
    path = folder / "config.properties"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")
