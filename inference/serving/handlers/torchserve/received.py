"""A request as a TorchServe handler receives it: a dict with "body", or with the fields of a form."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import unquote_to_bytes

from inference.serving.handlers import Call
from inference.serving.handlers.torchserve.context import Headers

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_HALF_ESCAPED = re.compile(rb"%(?![0-9a-fA-F]{2})")


class BadForm(ValueError):
    """The body is no form, and its content type says so."""


@dataclass(frozen=True)
class Received:
    """A handler's row, and its request's headers."""

    row: dict[str, Any]
    headers: Headers


@dataclass(frozen=True)
class _Field:
    name: str
    value: bytes
    content_type: str = ""


def received(call: Call) -> Received:
    """What a handler gets for this request; BadForm where a form cannot be read."""
    row: dict[str, Any] = {}
    headers = Headers()
    for field in _fields(call):
        row[field.name] = _decoded(field)
        headers[field.name] = {"content-type": field.content_type}
    headers.update(call.headers)
    headers.update({n: v for n, v in (("content-type", call.content_type), ("accept", call.accept)) if v})
    return Received(row, headers)


def _fields(call: Call) -> Iterator[_Field]:
    kind = call.content_type.split(";")[0]
    if kind.lower() == _FORM:
        yield from _pairs(call.body)
    elif kind.lower() == _MULTIPART:
        yield from _parts(call)
    else:
        yield _Field("body", call.body, kind)


def _decoded(field: _Field) -> Any:
    """JSON and text as what they say; the rest, and what cannot be read, as a bytearray."""
    raw = bytearray(field.value)
    if os.environ.get("TS_DECODE_INPUT_REQUEST", "true") != "true":
        return raw
    try:
        if field.content_type == "application/json":
            return json.loads(raw.decode("utf-8"))
        return raw.decode("utf-8") if field.content_type.startswith("text") else raw
    except (ValueError, RecursionError):
        return raw


def _pairs(body: bytes) -> Iterator[_Field]:
    if _HALF_ESCAPED.search(body):
        raise BadForm("a % that stands for nothing")
    *pairs, last = body.split(b"&")
    # What stands last without a "=" is taken for cut off.
    for pair in filter(None, [*pairs, last] if b"=" in last else pairs):
        name, _, value = (unquote_to_bytes(text.replace(b"+", b" ")) for text in pair.partition(b"="))
        if not name:
            raise BadForm("a field without a name")
        yield _Field(name.decode("utf-8", "replace"), value)


def _parts(call: Call) -> Iterator[_Field]:
    boundary = _header("content-type", call.content_type).get_param("boundary")
    if not boundary:
        raise BadForm("multipart/form-data without a boundary")
    first, *pieces = (b"\r\n" + call.body).split(b"\r\n--" + str(boundary).encode())
    if not pieces or not pieces[-1].startswith(b"--"):
        raise BadForm("multipart/form-data without its boundary at the end")
    for piece in pieces[:-1]:
        yield _part(piece)


def _part(piece: bytes) -> _Field:
    head, end, content = piece.partition(b"\r\n\r\n")
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip():
            headers[key.strip()] = value.strip()
    name = headers.get_param("name", header="content-disposition")
    if not end or not isinstance(name, str):
        raise BadForm("a part of multipart/form-data has no name")
    is_file = headers.get_param("filename", header="content-disposition") is not None
    kind = str(headers.get("content-type", "")).split(";")[0] if is_file else ""
    return _Field(name, content, kind)


def _header(name: str, value: str) -> Message:
    headers = Message()
    headers[name] = value
    return headers
