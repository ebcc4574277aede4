"""What AWS's Hugging Face image brings: JSON as it is rather than as an array, and a pipeline's call.

Every failure is a 400 there, with the exception's message.
Source: pypi.org/project/sagemaker-huggingface-inference-toolkit 2.6.0, handler_service and decoder_encoder
"""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
from typing import Any

from inference.serving.handlers.sagemaker import content_types, encoders
from inference.serving.handlers.sagemaker.context import RequestProcessor
from inference.serving.handlers.sagemaker.failures import UnsupportedFormatError
from inference.serving.handlers.sagemaker.image import Image, ServerError
from inference.serving.handlers.sagemaker.npy import read_npy

_IMAGES = {"image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/webp", "image/x-image"}
_SOUNDS = {"audio/x-flac", "audio/mpeg", "audio/wave", "audio/ogg", "audio/x-audio"}
_COLUMNS = ("question", "context", "inputs")


def default_input_fn(input_data: Any, content_type: str | None) -> Any:
    """A JSON value as it is; a table, an image or a sound as {"inputs": …}."""
    if content_type == content_types.JSON:
        return json.loads(input_data)
    if content_type == content_types.CSV:
        return _read_csv(input_data)
    if content_type == content_types.NPY:
        return read_npy(input_data)
    if content_type in _IMAGES:
        return {"inputs": _read_image(input_data)}
    if content_type in _SOUNDS:
        return {"inputs": bytes(input_data)}
    raise UnsupportedFormatError(content_type)


def default_predict_fn(data: Any, model: Any) -> Any:
    """The model called on the data's "inputs", or on the data, with its "parameters"."""
    inputs = data.pop("inputs", data)
    parameters = data.pop("parameters", None)
    return model(inputs) if parameters is None else model(inputs, **parameters)


def default_output_fn(prediction: Any, accept: str) -> Any:
    """The prediction in the content type asked for."""
    if accept == content_types.JSON:
        return json.dumps(
            prediction, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
    if accept == content_types.CSV:
        return _write_csv(prediction)
    if accept == content_types.NPY:
        return encoders.write_npy(prediction)
    if accept in _IMAGES:
        return _write_image(prediction, accept)
    raise UnsupportedFormatError(accept)


def reply(result: Any, accept: str, request: RequestProcessor) -> Any:
    """The result is the body, a tuple too; its content type is what was asked for."""
    request.add_response_property("content-type", accept)
    return result


def fail(error: Exception, request: RequestProcessor) -> Any:
    """A 400 in the model server's form."""
    raise ServerError(400, str(error)) from error


def _read_csv(text: str) -> dict[str, Any]:
    if not any(name in text.splitlines()[0].lower() for name in _COLUMNS):
        raise ValueError(
            "You need to provide the correct CSV with Header columns to use it with the inference toolkit "
            "default handler."
        )
    rows = list(csv.DictReader(io.StringIO(text)))
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in rows[0] else rows}


def _write_csv(prediction: Any) -> str:
    rows = prediction if isinstance(prediction, list) else list(prediction)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _read_image(body: bytes | bytearray) -> Any:
    from PIL import Image as images

    return images.open(io.BytesIO(body)).convert("RGB")


def _write_image(image: Any, accept: str) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG" if accept == "image/x-image" else accept.partition("/")[2].upper())
    return file.getvalue()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return str(value)
    if hasattr(value, "save") and hasattr(value, "convert"):
        return base64.b64encode(_write_image(value, "image/png")).decode()
    return json.JSONEncoder().default(value)


HUGGING_FACE = Image(
    "Hugging Face",
    {"input_fn": default_input_fn, "predict_fn": default_predict_fn, "output_fn": default_output_fn},
    reply,
    fail,
    accept=content_types.JSON,
)
