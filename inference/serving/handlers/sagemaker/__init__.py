"""SageMaker's handlers: a file with model_fn and input_fn, predict_fn, output_fn or transform_fn, as it is.

`load` is the door. The rest is what AWS's images have around such a file: the toolkit's functions, codecs and
exceptions, the request's context, and the model server's answers. Held against AWS's own packages in
tests/inference/serving/handlers/test_sagemaker_oracle.py; the answers of a real endpoint were not compared.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers import OldHandler, starting
from inference.serving.handlers.sagemaker import intakes, modules, scripted
from inference.serving.handlers.sagemaker.answering import SageMakerHandler
from inference.serving.handlers.sagemaker.context import Context
from inference.serving.handlers.sagemaker.functions import functions
from inference.serving.handlers.sagemaker.images import image_of


def load(model_dir: Path, entry: Path) -> OldHandler:
    """Import the entry file, let it load and warm up its model, and return it ready to answer.

    Its folder comes first on sys.path, so that its sibling modules import. StartError says what is wrong, and
    carries what the user's code raised.
    """
    modules.offer()
    image = image_of(entry.parent, os.environ)
    module = _imported(entry)
    context = Context(str(model_dir), _gpu())
    found = functions(module, context, image)
    transform = found.transform()
    model = found.model(str(model_dir))
    title = f"SageMaker {entry.name}" + (f", as in the {image.name} image" if image.name else "")
    handler = SageMakerHandler(title, image, context, lambda *request: transform(model, *request))
    handler.intake = intakes.of(entry, found.own.keys(), image)
    return handler


def load_bare(model_dir: Path, file: str) -> OldHandler:
    """Load a TorchScript model that came without code. StartError says what is wrong."""
    return scripted.load(model_dir, file, _gpu())


def _imported(entry: Path) -> Any:
    module = starting.imported(entry.stem, entry.parent)
    if Path(module.__file__ or "").resolve() != entry.resolve():
        raise StartError(
            f"{entry.name}: a module {entry.stem} is there already, from {module.__file__}; "
            "give the file another name"
        )
    return module


def _gpu() -> int | None:
    # A handler without torch asks for no GPU, and torch is not imported to look for one.
    torch = sys.modules.get("torch")
    return 0 if torch is not None and torch.cuda.is_available() else None
