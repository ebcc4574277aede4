"""What AWS's PyTorch image brings: a TorchScript model is loaded and called where a handler does not.

Source: pypi.org/project/sagemaker-pytorch-inference 2.0.25, module default_pytorch_inference_handler
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference.serving.handlers.sagemaker import content_types, decoders, encoders, failures
from inference.serving.handlers.sagemaker.headers import parse_accept
from inference.serving.handlers.sagemaker.image import Image
from inference.serving.handlers.sagemaker.toolkit import fail, reply

_MODEL_FILE = "model.pt"


class ModelLoadError(Exception):
    """The model's file is not TorchScript."""


def default_model_fn(model_dir: str) -> Any:
    """The TorchScript model in model.pt, or in the only .pt or .pth file that there is.

    Nothing else is loaded: what torch.save wrote is a pickle, and reading it is the handler's own decision.
    """
    return scripted(_model_file(Path(model_dir)))


def scripted(path: Path) -> Any:
    """The TorchScript model in the file; ModelLoadError where it holds none."""
    import torch

    try:
        return torch.jit.load(path, map_location=_device())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ModelLoadError(
            f"Failed to load {path}. Please ensure model is saved using torchscript."
        ) from error


def default_input_fn(input_data: Any, content_type: str | None) -> Any:
    """The body as a tensor: of float32 where it is text, of its own type where it is npy."""
    import torch

    array = decoders.decode(input_data, content_type)
    if content_type not in content_types.UTF8_TYPES:
        return torch.from_numpy(array).to(_device())
    # Of a lone number AWS makes that many floats of whatever lies in memory; here it is the number.
    tensor = torch.FloatTensor(array) if array.ndim else torch.tensor(array.item(), dtype=torch.float32)
    return tensor.to(_device())


def default_predict_fn(data: Any, model: Any) -> Any:
    """What the model makes of the tensor, without gradients."""
    import torch

    with torch.no_grad():
        model = model.to(_device())
        model.eval()
        return model(data.to(_device()))


def default_output_fn(prediction: Any, accept: str) -> str | bytes:
    """The prediction in the first content type of `accept` that can be written; a tensor as a list."""
    import torch

    if type(prediction) is torch.Tensor:
        prediction = prediction.detach().cpu().numpy().tolist()
    for content_type in parse_accept(accept):
        if content_type in encoders.SUPPORTED_CONTENT_TYPES:
            return encoders.encode(prediction, content_type)
    raise failures.UnsupportedFormatError(accept)


def _model_file(model_dir: Path) -> Path:
    if (model_dir / _MODEL_FILE).exists():
        return model_dir / _MODEL_FILE
    found = sorted(path for path in model_dir.iterdir() if path.suffix in {".pt", ".pth"} and path.is_file())
    if len(found) != 1:
        raise ValueError(
            f"{model_dir}: {[path.name for path in found]}: expected exactly one .pth or .pt file with a "
            "TorchScript model, or a model_fn"
        )
    return found[0]


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


PYTORCH = Image(
    "PyTorch",
    {
        "model_fn": default_model_fn,
        "input_fn": default_input_fn,
        "predict_fn": default_predict_fn,
        "output_fn": default_output_fn,
    },
    reply,
    fail,
)
