"""A TorchScript model without any code, as AWS's PyTorch image serves one: its default functions do it all.

One thing is added: {"instances": [...]}, which the image fails on, is answered with {"predictions": [...]},
so that Vertex AI's predict works, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers import starting
from inference.serving.handlers.sagemaker import content_types, encoders, pytorch
from inference.serving.handlers.sagemaker.answering import SageMakerHandler
from inference.serving.handlers.sagemaker.context import Context


def load(model_dir: Path, file: str, gpu: int | None) -> SageMakerHandler:
    """Load the model from the file in its folder. StartError where that fails, or torch is not there."""
    starting.imported("torch")
    try:
        model = pytorch.scripted(model_dir / file)
    except pytorch.ModelLoadError as error:
        raise StartError(f"{file}: {error.__cause__}; expected what torch.jit.save wrote") from error
    transform = _enveloped(lambda *request: _three_steps(model, *request))
    context = Context(str(model_dir), gpu)
    return SageMakerHandler(
        f"TorchScript {file}, as in the PyTorch image", pytorch.PYTORCH, context, transform
    )


def _three_steps(model: Any, body: Any, content_type: Any, accept: Any) -> str | bytes:
    data = pytorch.default_input_fn(body, content_type)
    return pytorch.default_output_fn(pytorch.default_predict_fn(data, model), accept)


def _enveloped(transform: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def answered(body: Any, content_type: Any, accept: Any) -> Any:
        instances = _instances(body) if content_type == content_types.JSON else None
        if instances is None:
            return transform(body, content_type, accept)
        predictions = transform(json.dumps(instances), content_type, content_types.JSON)
        return encoders.encode({"predictions": json.loads(predictions)}, content_types.JSON)

    return answered


def _instances(body: str) -> Any:
    """What an envelope of Vertex AI's holds; None for any other body, a broken one included."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document.get("instances") if isinstance(document, dict) else None
