"""JSON whose numbers come out as they went in: 1.0, 1e3, -0 and integers of any length. Pure."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

SAFE_DIGITS = 18  # of an integer: more is kept as text, and Python would refuse 4,300 of them
TOO_DEEP = "it is nested too deeply"


@dataclass(frozen=True)
class Literal:
    """A number that Python would write otherwise than it was read."""

    text: str


class _HasLiteral(Exception):
    pass


def parse(text: bytes) -> Any:
    """The value. Raises ValueError for what is no JSON in UTF-8 (NaN and Infinity are none)."""
    string = text.decode("utf-8").strip()
    try:
        value = _PLAIN.decode(string)
        if string in (_SPACED.encode(value), _ENCODER.encode(value)):
            return value  # as it would be written again: several times as fast as to look at each number
    except (ValueError, RecursionError):
        pass
    return _exact(string)


def names(text: bytes) -> Container[str] | None:
    """The keys of an object, None for any other value. Raises ValueError as `parse` does."""
    string = text.decode("utf-8")
    try:
        value = _PLAIN.decode(string)
    except ValueError:
        value = _exact(string)  # an integer of 4,300 digits, or no JSON
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    return value.keys() if isinstance(value, dict) else None


def write(value: Any) -> bytes:
    """The value on one line, without spaces, its keys in their order. Raises ValueError if it is too deep."""
    try:
        try:
            return _text(value, _ENCODER).encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON allows as an escape
            return _text(value, _ESCAPING).encode()
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def _text(value: Any, encoder: json.JSONEncoder) -> str:
    try:
        return encoder.encode(value)
    except _HasLiteral:
        return "".join(_pieces(value, encoder))


def _exact(string: str) -> Any:
    try:
        return _DECODER.decode(string)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def _integer(text: str) -> int | Literal:
    return Literal(text) if len(text) > SAFE_DIGITS or text == "-0" else int(text)


def _float(text: str) -> float | Literal:
    value = float(text)
    return value if repr(value) == text else Literal(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _literal(value: Any) -> Any:
    raise _HasLiteral


def _pieces(value: Any, encoder: json.JSONEncoder) -> Iterator[str]:
    if isinstance(value, Literal):
        yield value.text
    elif isinstance(value, dict):
        for number, (key, member) in enumerate(value.items()):
            yield ("," if number else "{") + encoder.encode(key) + ":"
            yield from _pieces(member, encoder)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield "," if number else "["
            yield from _pieces(member, encoder)
        yield "]" if value else "[]"
    else:
        yield encoder.encode(value)


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)
_PLAIN = json.JSONDecoder(parse_constant=_constant)
_SPACED = json.JSONEncoder(ensure_ascii=False)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_literal)
_ESCAPING = json.JSONEncoder(separators=(",", ":"), default=_literal)
