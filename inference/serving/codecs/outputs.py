"""What a handler's last step returned, as predictions that can be counted and written. Pure.

numpy and torch results are taken as they are; torch is never imported here, only recognised.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.serving.errors import BadPredictions, shown

Array = NDArray[Any]
Predictions = list[Any] | Array

_EXPECTED = "expected a list, numpy.ndarray, torch.Tensor or pandas.DataFrame with one prediction an instance"


def predictions(returned: Any, count: int, step: str) -> Predictions:
    """What a step returned as a list or an array of exactly `count` predictions. Else BadPredictions."""
    found = _countable(returned)
    if found is None:
        raise BadPredictions(f"{step} returned {type(returned).__qualname__} {shown(returned)}; {_EXPECTED}")
    if len(found) != count:
        raise BadPredictions(
            f"{step} returned {len(found)} predictions for {count} instances; "
            "expected one for each instance, in their order"
        )
    return found


def check_finite(found: Predictions, first: int = 0) -> None:
    """BadPredictions, by its number, for a prediction that holds NaN or infinity."""
    if isinstance(found, np.ndarray) and (found.dtype.kind not in "fO" or _is_finite(found)):
        return
    for number, prediction in enumerate(found, first):
        if not _is_finite(prediction):
            raise BadPredictions(
                f"prediction {number} is {shown(plain(prediction))}; expected finite numbers "
                "(correct NaN and infinity in postprocess)"
            )


def holds_text(rows: list[Any]) -> bool:
    """Whether there is text in a list, or in the lists in it."""
    kinds = set(map(type, rows))
    return str in kinds or (list in kinds and any(holds_text(row) for row in rows if isinstance(row, list)))


def plain(value: Any) -> Any:
    """Arrays, tensors and numpy numbers as Python's, inside lists and objects too; the rest as it is."""
    array = _as_array(value)
    if array is not None:
        return array.tolist()
    if isinstance(value, np.generic):
        own = value.item()
        return float(value) if isinstance(own, np.floating) else own
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _countable(returned: Any) -> Predictions | None:
    if isinstance(returned, list | tuple):
        return list(returned) if isinstance(returned, tuple) else returned
    array = _as_array(returned)
    if array is not None:
        return _writable(array) if array.ndim else None
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(returned, pandas.DataFrame):
        return list(returned.to_dict("records"))
    if pandas is not None and isinstance(returned, pandas.Series):
        return list(returned.tolist())
    return None


def _writable(array: Array) -> Predictions:
    """The array as orjson writes it directly; objects and text as a list, which it writes one by one."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        return list(array.tolist())
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _as_array(value: Any) -> Array | None:
    if isinstance(value, np.ndarray):
        return value
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    tensor = value.detach().cpu()
    # numpy has no bfloat16 and no bits for what is sparse or conjugated.
    array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True)
    return array


def _is_finite(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):  # orjson writes these as objects
        return all(_is_finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    array = _as_array(value)
    if array is None or array.dtype.kind not in "fO":
        return True
    return all(map(_is_finite, array.ravel())) if array.dtype.kind == "O" else bool(np.isfinite(array).all())
