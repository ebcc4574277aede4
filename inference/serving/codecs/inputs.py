"""Instances in the form that the handler's first step is annotated with. Pure.

A list holds what JSON would have held, whatever the body was; arrays, tensors and frames are made once, here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.serving.codecs.outputs import Array, holds_text
from inference.serving.errors import BadBody

Instances = list[Any] | Array

# Arrays and frames make room for what is not there: the longest text in every place, every column in every
# row. A small body must not fill the memory that way.
_TEXT_BYTES = 2**28
_SPARSE_CELLS = 10_000_000
_DEFAULTS: dict[str, Any] = {"torch.float32": np.float32, "torch.float64": np.float64}


def floats(convert: Callable[[Instances], Any]) -> Any:
    """The numpy type that numbers with a fraction have for a conversion that wants an array; None where it
    wants none, or numpy has no such type."""
    if convert is to_array:
        return np.float64
    return _DEFAULTS.get(str(sys.modules["torch"].get_default_dtype())) if convert is to_tensor else None


def to_list(instances: Instances) -> list[Any]:
    """A plain Python list, one element an instance."""
    return instances.tolist() if isinstance(instances, np.ndarray) else instances


def to_array(instances: Instances) -> Array:
    """One numpy array of numbers, booleans or text; its first axis counts the instances."""
    if isinstance(instances, np.ndarray):
        return instances
    try:
        array = _text_array(instances) if holds_text(instances) else np.asarray(instances)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _misfit("numpy.ndarray", str(error)) from None
    # numpy would turn [1, "a"] into two texts and [1, None] into objects without a word.
    if array.dtype.kind not in "biufU":
        raise _misfit("numpy.ndarray", "they are not all numbers, or all text")
    return array


def to_tensor(instances: Instances) -> Any:
    """One torch tensor; numbers with a fraction that came as text have torch's default type."""
    torch: Any = sys.modules["torch"]  # the handler's annotation names it, so it is there
    array = to_array(instances)
    if array.dtype.kind not in "biuf":
        raise _misfit("torch.Tensor", "they are not numbers")
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor if array is instances or array.dtype.kind != "f" else tensor.to(torch.get_default_dtype())


def to_frame(instances: Instances) -> Any:
    """One pandas frame with a row an instance; objects name its columns."""
    pandas: Any = sys.modules["pandas"]  # as above
    if isinstance(instances, list):
        _check_filled(instances)
    try:
        frame = pandas.DataFrame(instances)
    except Exception as error:  # pandas raises whatever its parts raise on mixed rows
        raise _misfit("pandas.DataFrame", f"{type(error).__name__}: {error}") from None
    if len(frame) != len(instances):
        raise _misfit("pandas.DataFrame", f"they make {len(frame)} rows")
    return frame


def _text_array(instances: list[Any]) -> Array:
    """The texts as an array of them; of objects where something else is among them."""
    objects = np.asarray(instances, dtype=object)
    texts = objects.ravel().tolist()
    if not all(isinstance(text, str) for text in texts):
        return objects
    longest = max(map(len, texts))
    if 4 * longest * len(texts) > _TEXT_BYTES:
        raise _misfit(
            "numpy.ndarray", f"{len(texts)} texts of up to {longest} characters are too much for one array"
        )
    return objects.astype(str)


def _check_filled(instances: list[Any]) -> None:
    rows = [one for one in instances if isinstance(one, dict | list)]
    names = set().union(*(row for row in rows if isinstance(row, dict)))
    columns = max(len(names), max((len(row) for row in rows if isinstance(row, list)), default=0))
    cells = columns * len(instances)
    if cells > _SPARSE_CELLS and cells > 10 * sum(map(len, rows)):
        raise _misfit("pandas.DataFrame", f"{len(instances)} rows and {columns} columns, nearly all empty")


def _misfit(kind: str, reason: str) -> BadBody:
    return BadBody(f"instances: {reason}; this handler takes them as one {kind}, so all need the same form")
