"""application/x-npy, read without pickle, without a second copy, and without trusting its header. Pure.

numpy's own reader would allocate what the header claims before it looks at the data; here the size must fit
first. Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import math
import re
import sys
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from inference.serving.codecs import outputs
from inference.serving.codecs.media import NPY
from inference.serving.codecs.outputs import Array, Predictions
from inference.serving.errors import BadBody, NotAcceptable, shown

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000
_MAX_AXES = 32
# Clients send the same header again and again, and Python's parser takes as long for it as a picture's copy.
_LONGEST_KEPT = 256
# Booleans, numbers up to 64 bits, text; no objects (pickle), no records, no dates, no complex numbers.
_PLAIN_TYPE = re.compile(r"[<>|=](?:b1|[iu][1248]|f[248]|U[1-9][0-9]{0,6})").fullmatch


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]
    end: int


def decode(body: bytes | bytearray | memoryview) -> Array:
    """The array in an npy body; its first axis counts the instances. BadBody says what is wrong."""
    header = _header(body)
    count, found = math.prod(header.shape), len(body) - header.end
    if count * header.dtype.itemsize != found:
        raise BadBody(
            f"{NPY}: {found} bytes of data; expected {count * header.dtype.itemsize} "
            f"for shape {header.shape} of {header.dtype.str}"
        )
    flat = np.frombuffer(body, header.dtype, count, header.end)
    # A handler may work in place, and every type of the machine's own byte order works everywhere.
    flat = flat.astype(header.dtype.newbyteorder("="), copy=not flat.flags.writeable)
    _check_text(flat)
    array = flat.reshape(header.shape[::-1]).T if header.fortran else flat.reshape(header.shape)
    _check_finite(array)
    return array


def encode(predictions: Predictions) -> bytes:
    """The predictions as one array of numbers; NotAcceptable where they do not make one."""
    outputs.check_finite(predictions)
    if not isinstance(predictions, np.ndarray):
        predictions = _stacked([outputs.plain(prediction) for prediction in predictions])
    if predictions.dtype.kind not in "biuf":
        raise _not_an_array(f"they make an array of {predictions.dtype}")
    file = io.BytesIO()
    np.save(file, predictions, allow_pickle=False)
    return file.getvalue()


def _stacked(rows: list[Any]) -> Array:
    # An array of texts would give each of them the room that the longest takes, before it is refused.
    if outputs.holds_text(rows):
        raise _not_an_array("they hold text")
    try:
        return np.asarray(rows)
    except (ValueError, TypeError, OverflowError) as error:
        raise _not_an_array(str(error)) from None


def _not_an_array(reason: str) -> NotAcceptable:
    return NotAcceptable(
        f"Accept: {NPY}: the predictions are not one array of numbers ({reason}): ask for application/json"
    )


def _header(body: bytes | bytearray | memoryview) -> _Header:
    start, text = _header_text(body)
    dtype, fortran, shape = (_kept_fields if len(text) <= _LONGEST_KEPT else _fields)(text)
    return _Header(dtype, fortran, shape, start + len(text))


def _fields(text: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    try:
        fields = ast.literal_eval(text)
        descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except Exception:  # literal_eval raises five kinds on hostile text; all mean the same here
        raise BadBody(
            f"{NPY}: header {shown(text)} is not numpy's; expected descr, fortran_order, shape"
        ) from None
    if not isinstance(descr, str) or not _PLAIN_TYPE(descr):
        raise BadBody(f"{NPY}: dtype {shown(descr)} is not read here; expected booleans, numbers or text")
    if not _is_shape(shape):
        raise BadBody(
            f"{NPY}: shape {shown(shape)}; expected the number of instances first, and no other axis of 0"
        )
    return np.dtype(descr), bool(fortran), shape


_kept_fields = lru_cache(maxsize=256)(_fields)


def _header_text(body: bytes | bytearray | memoryview) -> tuple[int, str]:
    if body[:6] != _MAGIC:
        raise BadBody(
            f"{NPY}: begins with {shown(bytes(body[:6]))}; expected {_MAGIC!r}, as numpy.save writes it"
        )
    if body[6:8] not in (b"\x01\x00", b"\x02\x00"):
        raise BadBody(f"{NPY}: version {shown(bytes(body[6:8]))}; expected 1.0 or 2.0")
    start = 10 if body[6] == 1 else 12
    length = int.from_bytes(body[8:start], "little")
    if length > _MAX_HEADER or len(body) < start + length:
        raise BadBody(
            f"{NPY}: header of {length} bytes; expected one that is all here and up to {_MAX_HEADER}"
        )
    return start, bytes(body[start : start + length]).decode("latin-1")


def _is_shape(shape: Any) -> bool:
    """Whether it can be had. A later axis of 0 would make any number of instances out of no data."""
    return (
        isinstance(shape, tuple)
        and 1 <= len(shape) <= _MAX_AXES
        and all(type(axis) is int and 0 <= axis < 2**63 for axis in shape)
        and 0 not in shape[1:]
        and math.prod(shape[1:]) < 2**31
    )


def _check_text(flat: Array) -> None:
    if flat.dtype.kind != "U":
        return
    points = flat.view(np.uint32)
    if ((points > sys.maxunicode) | ((points >= 0xD800) & (points < 0xE000))).any():
        raise BadBody(f"{NPY}: text with code points that Unicode does not have")


def _check_finite(array: Array) -> None:
    if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
        return
    # Not argwhere: the places of all that are wrong may take a hundred times what the body does.
    place = [int(axis) for axis in np.unravel_index(finite.argmin(), array.shape)]
    raise BadBody(f"{NPY}: {array[tuple(place)]} at index {place}; expected finite numbers")
