"""A prediction to a body, as the default output_fn of AWS's toolkit does it; handlers call it `encoder`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.serving.handlers.sagemaker import content_types
from inference.serving.handlers.sagemaker.failures import UnsupportedFormatError


def write_json(array_like: Any) -> str:
    """JSON, where whatever has a tolist is written as that list."""
    return json.dumps(array_like, default=_listed)


def write_csv(array_like: Any) -> str:
    """One line a row."""
    text = io.StringIO()
    np.savetxt(text, array_like, delimiter=",", fmt="%s")
    return text.getvalue()


def write_npy(array_like: Any) -> bytes:
    """The npy format."""
    file = io.BytesIO()
    np.save(file, array_like)
    return file.getvalue()


_ENCODERS: dict[Any, Callable[[Any], str | bytes]] = {
    content_types.NPY: write_npy,
    content_types.CSV: write_csv,
    content_types.JSON: write_json,
}
SUPPORTED_CONTENT_TYPES = set(_ENCODERS)


def encode(array_like: Any, content_type: str) -> str | bytes:
    """The prediction in this content type; UnsupportedFormatError where it is none of the three."""
    try:
        encoder = _ENCODERS[content_type]
        return encoder(array_like)
    except KeyError:
        raise UnsupportedFormatError(content_type)  # noqa: B904 - AWS answers with the KeyError in the traceback


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return json.JSONEncoder().default(value)
