"""Which of AWS's serving images a handler was written for: a function that it lacks comes from there."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from inference.serving.errors import StartError, shown
from inference.serving.handlers.sagemaker.hugging import HUGGING_FACE
from inference.serving.handlers.sagemaker.image import Image
from inference.serving.handlers.sagemaker.pytorch import PYTORCH
from inference.serving.handlers.sagemaker.scikit import SCIKIT
from inference.serving.handlers.sagemaker.toolkit import TOOLKIT

# Each image names its own serving module there.
SETTING = "SAGEMAKER_SERVING_MODULE"
_BY_SERVING_MODULE = {
    "sagemaker_pytorch_serving_container": PYTORCH,
    "sagemaker_sklearn_container": SCIKIT,
    "sagemaker_huggingface_inference_toolkit": HUGGING_FACE,
    "sagemaker_inference": TOOLKIT,
}
# A package that a handler imports, the telling ones first.
_BY_IMPORT = {
    "sagemaker_containers": SCIKIT,
    "sagemaker_pytorch_serving_container": PYTORCH,
    "transformers": HUGGING_FACE,
    "torch": PYTORCH,
    "sklearn": SCIKIT,
}


def image_of(code_dir: Path, env: Mapping[str, str]) -> Image:
    """The image that SAGEMAKER_SERVING_MODULE names, or else the one that has what the code imports."""
    if stated := env.get(SETTING, ""):
        try:
            return _BY_SERVING_MODULE[stated.partition(":")[0].partition(".")[0]]
        except KeyError:
            raise StartError(
                f"{SETTING}: {shown(stated)}: expected one of {', '.join(_BY_SERVING_MODULE)}"
            ) from None
    imported = _imports(code_dir)
    return next((image for package, image in _BY_IMPORT.items() if package in imported), TOOLKIT)


def _imports(code_dir: Path) -> set[str]:
    """The packages that the files of a folder import, at any place in them."""
    found: set[str] = set()
    for path in sorted(code_dir.glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # importing it says so, with its place
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found
