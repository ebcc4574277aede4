"""What AWS's scikit-learn image brings, and the older toolkit that it is made with.

That toolkit answers as a Flask application does: a result that is no Response becomes text/html, and an
exception becomes a page without a word about it.
Source: pypi.org/project/sagemaker-containers 2.8.6 and github.com/aws/sagemaker-scikit-learn-container
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.serving.handlers.sagemaker import content_types, responses, tracebacks
from inference.serving.handlers.sagemaker.context import RequestProcessor
from inference.serving.handlers.sagemaker.decoders import read_json
from inference.serving.handlers.sagemaker.encoders import write_json, write_npy
from inference.serving.handlers.sagemaker.failures import RefusedBody, UnsupportedFormatError
from inference.serving.handlers.sagemaker.image import Image
from inference.serving.handlers.sagemaker.npy import read_npy

_FAILED = (
    "<!doctype html>\n"
    "<html lang=en>\n"
    "<title>500 Internal Server Error</title>\n"
    "<h1>Internal Server Error</h1>\n"
    "<p>The server encountered an internal error and was unable to complete your request. "
    "Either the server is overloaded or there is an error in the application.</p>\n"
)


class ClientError(Exception):
    """A body or prediction that the toolkit's own codecs cannot take."""

    __module__ = "sagemaker_containers._errors"


class UnsupportedFormat(UnsupportedFormatError):
    """No default codec for this content type."""

    __module__ = "sagemaker_containers._errors"
    __qualname__ = "UnsupportedFormatError"


class _Refused(Exception):
    """A default function met an UnsupportedFormat, its __cause__, and this is the status for it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def read_csv(text: str, dtype: Any = None) -> Any:
    """Rows as an array of numbers, or of text where one cell is no number; one row or column makes a list."""
    try:
        rows = csv.reader(io.StringIO(text), delimiter=",", quotechar='"', doublequote=True, strict=True)
        array = np.array(list(rows)).squeeze()
    except Exception as error:
        raise ClientError(f"Error while decoding csv: {error}") from error
    try:
        return array.astype(dtype)
    except ValueError as error:
        if dtype is not None:
            raise ClientError(f"Error while writing numpy array: {error}. dtype is: {dtype}") from error
        return array


def write_csv(array_like: Any) -> str:
    """One line a row; a flat list is a column."""
    array = np.array(array_like)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    text = io.StringIO()
    try:
        csv.writer(text, lineterminator="\n", strict=True).writerows(array)
    except csv.Error as error:
        raise ClientError(f"Error while encoding csv: {error}") from error
    return text.getvalue()


_DECODERS: dict[Any, Callable[[Any], Any]] = {
    content_types.NPY: read_npy,
    content_types.CSV: read_csv,
    content_types.JSON: read_json,
}
_ENCODERS: dict[Any, Callable[[Any], str | bytes]] = {
    content_types.NPY: write_npy,
    content_types.CSV: write_csv,
    content_types.JSON: write_json,
}


def decode(obj: Any, content_type: str) -> Any:
    """The body as an array."""
    return _of(_DECODERS, content_type)(obj)


def encode(array_like: Any, content_type: str) -> str | bytes:
    """The prediction in this content type."""
    encoded: str | bytes = _of(_ENCODERS, content_type)(array_like)
    return encoded


def _of(codecs: dict[Any, Callable[[Any], Any]], content_type: str) -> Callable[[Any], Any]:
    if content_type not in codecs:
        raise UnsupportedFormat(content_type)
    return codecs[content_type]


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """The body as an array; of float32 where it is text."""
    try:
        array = decode(input_data, content_type)
    except UnsupportedFormat as error:
        raise _Refused(415) from error
    return array.astype(np.float32) if content_type in content_types.UTF8_TYPES else array


def default_predict_fn(input_data: Any, model: Any) -> Any:
    """What model.predict returns."""
    return model.predict(input_data)


def default_output_fn(prediction: Any, accept: str) -> responses.Response:
    """The prediction in the content type asked for."""
    try:
        return responses.Response(encode(prediction, accept), mimetype=accept)
    except UnsupportedFormat as error:
        raise _Refused(406) from error


def reply(result: Any, accept: str, request: RequestProcessor) -> Any:
    """A tuple is body and mimetype. Whatever is no Response becomes one of Flask's, which is text/html."""
    if isinstance(result, tuple):
        result = responses.Response(result[0], mimetype=result[1])
    if isinstance(result, dict | list):
        result = responses.Response(f"{json.dumps(result, sort_keys=True)}\n", mimetype=content_types.JSON)
    if not responses.is_response(result):
        result = responses.Response(_flask_body(result), mimetype="text/html")
    return responses.spread(result, request)


def _flask_body(result: Any) -> Any:
    if isinstance(result, str | bytes | bytearray):
        return result
    raise TypeError(
        f"the handler returned {type(result).__name__}; expected text, bytes, a Response or a tuple of body "
        "and content type"
    )


def fail(error: Exception, request: RequestProcessor) -> str:
    """415 and 406 with the toolkit's error in JSON, 500 with Flask's page for everything else."""
    if isinstance(error, RefusedBody):
        request.report_status(error.status_code)
        return str(error)
    if isinstance(error, _Refused) and error.__cause__ is not None:
        request.report_status(error.status)
        request.add_response_property("content-type", content_types.JSON)
        return json.dumps(
            {
                "error": "UnsupportedFormatError",
                "error-message": str(error.__cause__),
                "stack-trace": tracebacks.text(error.__cause__),
            }
        )
    request.report_status(500)
    request.add_response_property("content-type", "text/html; charset=utf-8")
    return _FAILED


SCIKIT = Image(
    "scikit-learn",
    {"input_fn": default_input_fn, "predict_fn": default_predict_fn, "output_fn": default_output_fn},
    reply,
    fail,
    content_type=content_types.JSON,
    body=bytes,
)
