"""Arrays from npy and npz bodies, as numpy reads them, but for what could run code or fill the memory.

AWS's toolkit unpickles whatever a caller sends as application/x-npy. That is refused here, and is the one
place where an answer differs from AWS's on purpose.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np

from inference.serving.handlers.sagemaker.content_types import NPY, NPZ
from inference.serving.handlers.sagemaker.failures import RefusedBody

_MAGIC = b"\x93NUMPY"
_ZIP = b"PK"
# Compressed arrays may become this large altogether, or ten times what was sent.
_MOST_UNPACKED = 256 * 2**20
_MOST_GROWTH = 10


def read_npy(body: bytes | bytearray) -> Any:
    """What numpy.load makes of the body; RefusedBody where that needs pickle or more memory than is sent."""
    file = io.BytesIO(body)
    if body[:2] == _ZIP:
        _check_unpacked(file, len(body))
    elif body[:6] == _MAGIC:
        _check_header(file, len(body))
    elif body:
        raise RefusedBody(f"{NPY}: {_PICKLED}")
    return np.load(file, allow_pickle=False)


def read_npz(body: bytes | bytearray) -> Any:
    """The sparse matrix that scipy.sparse.save_npz wrote."""
    try:
        from scipy import sparse  # type: ignore[import-untyped] # stubs for one call
    except ImportError as error:
        raise RuntimeError(f"{NPZ} is read by scipy: add scipy to inference/requirements.txt") from error
    file = io.BytesIO(body)
    _check_unpacked(file, len(body))
    return sparse.load_npz(file)


_PICKLED = (
    "the body holds pickled objects, which can run code where they are read, and are not read here; "
    "expected an array of numbers, booleans or text as numpy.save writes it"
)


def _check_header(file: io.BytesIO, sent: int) -> None:
    """numpy allocates what a header claims before it looks for the data."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except ValueError:
        # numpy.load says what is wrong with it, in the words that AWS answers with.
        file.seek(0)
        return
    start = file.tell()
    file.seek(0)
    if dtype.hasobject:
        raise RefusedBody(f"{NPY}: {_PICKLED}")
    if (claimed := math.prod(shape) * dtype.itemsize) > max(_MOST_UNPACKED, sent - start):
        raise RefusedBody(f"{NPY}: {sent - start} bytes of data; the header claims {claimed}")


def _check_unpacked(file: io.BytesIO, sent: int) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        unpacked = 0  # as above
    file.seek(0)
    if unpacked > max(_MOST_UNPACKED, _MOST_GROWTH * sent):
        raise RefusedBody(f"{sent} bytes that unpack to {unpacked}; expected at most {_MOST_UNPACKED}")
