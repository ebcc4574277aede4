"""What a model's folder is where no code comes with it, told from names and a .pt's table of contents."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from inference.serving.handlers.readings import Reading, Shape

_CONFIG = "config.json"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "*.onnx")
_TORCH = ("*.pt", "*.pth")
# The one that AWS's PyTorch image takes, whatever lies beside it.
_FIRST = "model.pt"


def readings(model_dir: Path) -> list[Reading]:
    """All that could be served as it is: a Hugging Face pipeline, TorchScript models."""
    return [*_pipelines(model_dir), *_scripts(model_dir)]


def unscripted(model_dir: Path) -> list[str]:
    """The names of torch's files without TorchScript: what torch.save wrote is a pickle, and is not read."""
    return [path.name for path in _torch_files(model_dir) if not _is_script(path)]


def _pipelines(model_dir: Path) -> Iterator[Reading]:
    has_weights = any(True for pattern in _WEIGHTS for _ in model_dir.glob(pattern))
    if has_weights and (model_dir / _CONFIG).is_file():
        yield Reading(Shape.PIPELINE, _CONFIG, 0)


def _scripts(model_dir: Path) -> Iterator[Reading]:
    found = [Reading(Shape.TORCHSCRIPT, path.name, 0) for path in _torch_files(model_dir) if _is_script(path)]
    yield from [each for each in found if each.file == _FIRST] or found


def _torch_files(model_dir: Path) -> list[Path]:
    return sorted(path for pattern in _TORCH for path in model_dir.glob(pattern) if path.is_file())


def _is_script(path: Path) -> bool:
    """Whether torch.jit.save wrote the file: a zip that holds code and constants. Nothing of it is loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return "constants.pkl" in members and any(name.startswith("code/") for name in members)
