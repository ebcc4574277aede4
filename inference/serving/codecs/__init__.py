"""Bytes to instances and predictions to bytes, by content type. Pure; shared by serving and batch jobs.

A JSON body is a list of instances, one object (one instance), or {"instances": [...]}; the answer takes the
request's shape. Integers beyond 64 bits become floats, as RFC 8259 section 6 leaves it to readers.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import orjson

from inference.serving.codecs import arrays, numeric, outputs, parquet, tables
from inference.serving.codecs.inputs import Instances
from inference.serving.codecs.media import CSV, JSON, JSON_LINES, NPY, ContentType
from inference.serving.codecs.outputs import Predictions
from inference.serving.errors import BadBody, BadPredictions, shown

# What came as one piece, in chunks, or was received into its place.
Body = bytes | bytearray | memoryview

_ENVELOPE_KEYS = {"instances", "parameters"}
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


class Shape(Enum):
    """How the request was written, and so how its answer is."""

    LIST = "a list of instances"
    ONE = "one instance"
    ENVELOPE = 'an object with "instances"'


class Decoded(NamedTuple):
    """A request's instances, in its order, and its shape."""

    instances: Instances
    shape: Shape


def decode(body: Body, content_type: ContentType, floats: Any = None) -> Decoded:
    """The instances in a body. BadBody says where it is wrong; no other exception leaves here.

    With `floats`, a numpy type, a body of nothing but numbers in JSON or CSV is an array: of that type where
    one of them has a fraction. The numbers are those that the list would hold.
    """
    if content_type.format == NPY:
        return Decoded(arrays.decode(body), Shape.LIST)
    text = bytes(body)  # no copy where it is that
    if floats is not None:
        found = _numbers(text, content_type, floats)
        if found is not None:
            return found
    return _decode_text(text, content_type)


def _numbers(text: bytes, content_type: ContentType, floats: Any) -> Decoded | None:
    if content_type.format == JSON:
        found = numeric.from_json(text, floats)
        return found and Decoded(found[0], Shape.ENVELOPE if found[1] else Shape.LIST)
    if content_type.format == CSV and not content_type.header:
        rows = numeric.from_csv(text, floats)
        return None if rows is None else Decoded(rows, Shape.LIST)
    return None


def _decode_text(text: bytes, content_type: ContentType) -> Decoded:
    if content_type.format == JSON:
        return _decode_json(text)
    if content_type.format == JSON_LINES:
        return Decoded(_decode_json_lines(text), Shape.LIST)
    if content_type.format == CSV:
        return Decoded(tables.decode(text, header=content_type.header), Shape.LIST)
    return Decoded(parquet.decode(text), Shape.LIST)


def json_line(line: bytes) -> Any:
    """The value on one line. BadBody has the column alone: which line it is, the caller knows."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadBody(_fault(error, line)) from None


def encode(predictions: Predictions, shape: Shape, wanted: str) -> bytes:
    """The predictions in the wanted format.

    BadPredictions where one is not finite or cannot be written at all, NotAcceptable where only the wanted
    format cannot hold it.
    """
    try:
        return _encoded(predictions, shape, wanted)
    except RecursionError:
        raise _too_deep() from None


def encode_lines(predictions: Predictions, wanted: str, keys: list[Any] | None = None) -> bytes:
    """As encode, in JSON Lines or CSV; `keys` are those that every object must have in CSV (the first's)."""
    if wanted != CSV:
        return encode(predictions, Shape.LIST, wanted)
    try:
        return tables.encode(predictions, keys)
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> BadPredictions:
    return BadPredictions("a prediction is nested too deep to be written")


def _encoded(predictions: Predictions, shape: Shape, wanted: str) -> bytes:
    if wanted == CSV:
        return tables.encode(predictions)
    if wanted == NPY:
        return arrays.encode(predictions)
    if wanted == JSON_LINES:
        return _encode_json_lines(predictions)
    return _encode_json(predictions, shape)


def _decode_json(body: bytes | bytearray) -> Decoded:
    document = _loads(body, JSON, 1)
    if isinstance(document, list):
        return Decoded(document, Shape.LIST)
    if not isinstance(document, dict):
        raise BadBody(
            f'{JSON}: {shown(document)}: expected a list of instances, one object, or {{"instances": [...]}}'
        )
    if "instances" not in document:
        return Decoded([document], Shape.ONE)
    return Decoded(_enveloped(document), Shape.ENVELOPE)


def _enveloped(document: dict[str, Any]) -> list[Any]:
    unknown = sorted(set(document) - _ENVELOPE_KEYS)
    if unknown:
        raise BadBody(
            f'{JSON}: unexpected {", ".join(map(shown, unknown))} beside "instances"; '
            'expected "instances" alone'
        )
    # Vertex AI's callers may send them; to drop them without a word would answer another question.
    if document.get("parameters"):
        raise BadBody(
            f'{JSON}: "parameters" is {shown(document["parameters"])}: a handler takes instances alone; '
            "put what it needs into each instance"
        )
    instances = document["instances"]
    if not isinstance(instances, list):
        raise BadBody(f'{JSON}: "instances" is {shown(instances)}; expected a list')
    return instances


def _decode_json_lines(body: bytes | bytearray) -> list[Any]:
    text = bytes(body).rstrip(b"\r\n")
    if not text:
        return []
    return [_loads(line, JSON_LINES, number) for number, line in enumerate(text.split(b"\n"), 1)]


def _loads(text: bytes | bytearray, name: str, line: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"{name}: line {line + error.lineno - 1} {_fault(error, text)}") from None


def _fault(error: orjson.JSONDecodeError, text: bytes | bytearray) -> str:
    # The position counts characters; a body that is not UTF-8 has no other use for it than this.
    found = bytes(text).decode("utf-8", "replace")[error.pos : error.pos + 30]
    return f"column {error.colno}: {_reason(error.msg, found)}, found {shown(found)}"


def _reason(message: str, found: str) -> str:
    if found.lstrip("-").lower().startswith(("nan", "inf")):
        return "NaN and infinity are not JSON, send null for a missing value"
    if not found:
        return "nothing where a JSON value was expected"
    return message


def _encode_json_lines(predictions: Predictions) -> bytes:
    options = _OPTIONS | orjson.OPT_APPEND_NEWLINE
    try:
        encoded = b"".join([orjson.dumps(one, _plain, options) for one in predictions])
    except TypeError:
        # As in _encode_json: say which, or write it the slower way.
        encoded = b"".join(_dumps(one, number, options) for number, one in enumerate(predictions))
    _check_nulls(encoded, predictions)
    return encoded


def _encode_json(predictions: Predictions, shape: Shape) -> bytes:
    if shape is Shape.ONE:
        return _dumps(predictions[0], 0)
    try:
        encoded = orjson.dumps(predictions, _plain, _OPTIONS)
    except TypeError:
        # One of them cannot be written as it is: say which, or write it the slower way.
        encoded = b"[" + b",".join(_dumps(one, number) for number, one in enumerate(predictions)) + b"]"
    _check_nulls(encoded, predictions)
    return b'{"predictions":' + encoded + b"}" if shape is Shape.ENVELOPE else encoded


def _dumps(prediction: Any, number: int, options: int = 0) -> bytes:
    """One prediction as JSON; keys that are not strings become strings, as Python's own encoder does it."""
    try:
        encoded = orjson.dumps(prediction, _plain, _OPTIONS | options)
    except TypeError:
        try:
            encoded = orjson.dumps(prediction, _plain, _OPTIONS | options | orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            raise BadPredictions(f"prediction {number} cannot be written as JSON: {error}") from error
    _check_nulls(encoded, [prediction], number)
    return encoded


def _check_nulls(encoded: bytes, predictions: Predictions, first: int = 0) -> None:
    # orjson writes NaN and infinity as null without a word: only where it wrote one is it worth a look.
    if b"null" in encoded:
        outputs.check_finite(predictions, first)


def _plain(value: Any) -> Any:
    """What orjson cannot write by itself, as lists and numbers; TypeError where there is no such thing."""
    plain = outputs.plain(value)
    if plain is value:
        raise TypeError(
            f"type {type(value).__qualname__} is not JSON, expected numbers, text, lists or objects"
        )
    return plain
