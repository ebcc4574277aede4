"""An answer of a handler of another server as the answers to its records: texts, each on one line. Pure.

SageMaker writes a job's answers one below the other, as they come, and counts nothing. Here each record must
have its line: of an answer to several records, those are the elements of a list of JSON, bare or under
"predictions", or the lines that there are; the answer to one record is its line, and JSON that has several
lines is put on one. Numbers stay as they are written.
Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformOutput.html, AssembleWith
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from inference.serving.codecs.media import CSV, JSON, JSON_LINES, WRITTEN
from inference.serving.errors import BadPredictions, Refusal, shown
from inference.serving.handlers import Answer
from inference.serving.predictor import describe

_PREDICTIONS = "predictions"
_SPACE = re.compile(r"[ \t\r\n]*")
# What stands between JSON's texts, which may hold anything.
_LOOSE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
_SAYING = ("message", "error", "detail", "errorMessage")


@dataclass(frozen=True)
class Said:
    """One record's answer, without a line end in it: a JSON document, or a line of any text."""

    text: str
    is_json: bool


class Unanswered(Refusal):
    """The handler answered with an error of its own; the status is that one's where it is one."""

    code = "handler_failed"

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the handler answered {answer.status}: {_reason(answer)}")
        self.status = answer.status if 400 <= answer.status <= 599 else 500
        self.__cause__ = answer.failure


def of_one(answer: Answer) -> Said:
    """The answer to one record, which was asked for alone.

    Unanswered where it is an error, BadPredictions where it cannot stand on one line.
    """
    text = _text(answer)
    if _kind(answer) != CSV and _document(text) is not None:
        return Said(_on_one_line(text), True)
    if "\n" in text:
        raise BadPredictions(
            f"the handler answered one record with {text.count(chr(10)) + 1} lines that are no JSON; "
            "expected one line, or JSON"
        )
    return Said(text, False)


def of_many(answer: Answer, count: int) -> list[Said]:
    """The answers to so many records, which were asked for together. As of_one, and BadPredictions where it
    does not hold one for each of them."""
    text, kind = _text(answer), _kind(answer)
    document = None if kind in (CSV, JSON_LINES) else _document(text)
    listed = _listed(text) if document in (list, dict) else None
    if listed is not None and (len(listed) == count or kind == JSON):
        found = [Said(_on_one_line(one), True) for one in listed]
    elif document is not None:
        found = [Said(_on_one_line(text), True)]
    else:
        lines = (line.strip() for line in text.split("\n"))
        found = [Said(line, kind != CSV and _document(line) is not None) for line in lines if line]
    if len(found) != count:
        raise BadPredictions(
            f"the handler answered {count} records with {shown(text)}, which are {len(found)} "
            f"{'predictions' if document else 'lines'}; expected one for each: a list of JSON, bare or under "
            f'"{_PREDICTIONS}", or lines'
        )
    return found


def value(said: Said) -> Any:
    """What an answer that is JSON stands for."""
    try:
        return orjson.loads(said.text)
    except orjson.JSONDecodeError:  # see _document
        return json.loads(said.text)


def _kind(answer: Answer) -> str:
    name = answer.content_type.partition(";")[0].strip().lower()
    return JSON_LINES if "jsonl" in name or "ndjson" in name else WRITTEN.get(name, "")


def _text(answer: Answer) -> str:
    if answer.status != 200:
        raise Unanswered(answer)
    try:
        text = answer.body.decode().strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise BadPredictions(
            f"the handler answered with {len(answer.body)} bytes that are no text (byte {error.start}: "
            f"{error.reason}); expected JSON or lines, for only those are written to a file of lines"
        ) from None
    if not text:
        raise BadPredictions("the handler answered with nothing; expected a prediction")
    return text


def _reason(answer: Answer) -> str:
    if answer.failure is not None:
        return describe(answer.failure)
    text = answer.body.decode("utf-8", "replace").strip()
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.rpartition("\n")[2] or "nothing"  # a traceback ends with what was raised
    said = next(_sayings(document), None)
    return said if said is not None else text


def _sayings(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for inner in (document[name] for name in _SAYING if name in document):
            yield from [inner] if isinstance(inner, str) else _sayings(inner)


def _document(text: str) -> type | None:
    """Which type of JSON document the text is; None for none. BadPredictions where only a NaN speaks against
    it, which would be a text in a file of JSON."""
    try:
        return type(orjson.loads(text))
    except orjson.JSONDecodeError:
        pass
    try:
        # Python's own reads a few things more: halves of surrogate pairs, and NaN.
        return type(_DECODER.decode(text))
    except ValueError:
        return None
    except RecursionError:
        raise BadPredictions("the handler's answer is nested too deep to be written") from None


def _refuse(constant: str) -> NoReturn:
    raise BadPredictions(f"the handler answered with {constant}, which JSON has not; expected finite numbers")


# Of numbers no value is wanted: they are taken over as they are written.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)


def _listed(text: str) -> list[str] | None:
    """The elements, as they are written, of the list that a JSON document is or has under "predictions"."""
    if text[0] == "[":
        return list(_elements(text, 1))
    for name, start in _members(text):
        if name == _PREDICTIONS and text[start] == "[":
            return list(_elements(text, start + 1))
    return None


def _elements(text: str, at: int) -> Iterator[str]:
    at = _past_space(text, at)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        yield text[at:end]
        at = _after_comma(text, end)


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The names in an object, each with the place of its value."""
    at = _past_space(text, 1)
    while text[at] != "}":
        name, end = _DECODER.raw_decode(text, at)
        start = _past_space(text, _past_space(text, end) + 1)
        yield name, start
        _, end = _DECODER.raw_decode(text, start)
        at = _after_comma(text, end)


def _after_comma(text: str, at: int) -> int:
    at = _past_space(text, at)
    return _past_space(text, at + 1) if text[at] == "," else at


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _on_one_line(text: str) -> str:
    if "\n" not in text and "\r" not in text:
        return text
    return _LOOSE.sub(lambda found: found[1] or "", text)
