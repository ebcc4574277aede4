"""A body to an array, as the default input_fn of AWS's toolkit does it; handlers know it as `decoder`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.serving.handlers.sagemaker import content_types
from inference.serving.handlers.sagemaker.failures import UnsupportedFormatError
from inference.serving.handlers.sagemaker.npy import read_npy, read_npz


def read_json(text: str, dtype: Any = None) -> Any:
    """A JSON value as an array; an object becomes one that holds a dict."""
    return np.array(json.loads(text), dtype=dtype)


def read_csv(text: str, dtype: Any = None) -> Any:
    """Rows as an array; each column gets a type of its own, and text is nan unless a dtype is given."""
    return np.genfromtxt(io.StringIO(text), dtype=dtype, delimiter=",")


_DECODERS: dict[Any, Callable[[Any], Any]] = {
    content_types.NPY: read_npy,
    content_types.CSV: read_csv,
    content_types.JSON: read_json,
    content_types.NPZ: read_npz,
}


def decode(obj: Any, content_type: str | None) -> Any:
    """The body as this content type says; UnsupportedFormatError where it is none of the four."""
    try:
        decoder = _DECODERS[content_type]
        return decoder(obj)
    except KeyError:
        raise UnsupportedFormatError(content_type)  # noqa: B904 - AWS answers with the KeyError in the traceback
