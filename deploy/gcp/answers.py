"""What a batch prediction has left, read line by line: which record each answer is of, or why there is none.

A line is `{"key": …, "prediction": …}`, or has an `instance` for a key or an `error` for a prediction. No
order is promised, and a key may come twice, where a machine was asked again: then the first counts.
Sources: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#custom-trained, and the message
BatchPredictionJob.OutputConfig
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c

from deploy.batch.orders import Order
from deploy.gcp import keyed
from deploy.gcp.spool import Spool
from deploy.gcp.storage import Content

# The objects of results, and those of what failed, which the service names in two ways.
FILES = (
    re.compile(r"prediction\.results-\d+-of-\d+|predictions_\d+(\.\w+)?"),
    re.compile(r"prediction\.errors_stats-\d+-of-\d+|errors_\d+(\.\w+)?"),
)
# How errors_stats tells a failure: github.com/googleapis/python-aiplatform issue 2666
_STATS = re.compile(r"""\((['"])(?P<reason>.*)\1, \d+\)""", re.DOTALL)
SHOWN, SAID = 500, 20  # characters of a reason, and reasons that are kept
# The files, by their numbers, and the places in the spool that a line of results is about: of files that are
# equal, each. What it raises where a line does not tell is in _UNTOLD.
Whose = Callable[[Mapping[str, Any]], Collection[tuple[int, int]]]
_UNTOLD = (KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Slots:
    """The places in the spool of each file's answers, by the file's number; `size` of all."""

    of: Mapping[int, range]
    size: int


def slots(order: Order) -> Slots:
    """A place for each answer of the job's files: a line for each record, or a whole file of Parquet's."""
    found, at = dict[int, range](), 0
    for number, file in order.wanted.items():
        found[number] = range(at, at := at + (file.rows + order.headed if order.kind.by_lines else 1))
    return Slots(found, at)


def by_key(where: Slots) -> Whose:
    """Whose an answer is by its key, which `keyed` gave the record."""

    def whose(told: Mapping[str, Any]) -> list[tuple[int, int]]:
        number, record = keyed.numbers(told["key"])
        places = where.of.get(number, range(0))
        return [(number, places[record])] if record < len(places) else []

    return whose


def by_file(where: Slots, numbers: Mapping[Content | str, Collection[int]]) -> Whose:
    """Whose an answer is by its instance: a file's URI, or its content. `numbers` are the files' by both."""

    def whose(told: Mapping[str, Any]) -> list[tuple[int, int]]:
        instance = told["instance"]
        known = instance if isinstance(instance, str) else _content(base64.b64decode(instance["b64"]))
        return [(number, where.of[number][0]) for number in numbers.get(known, ()) if number in where.of]

    return whose


def _content(body: bytes) -> Content:
    checksum: Any = google_crc32c.Checksum  # it has no types
    return Content(len(body), base64.b64encode(checksum(body).digest()).decode())


class Answers:
    """The answers to a job's records, on their way into a spool; and what was said where there is none."""

    def __init__(self, spool: Spool, whose: Whose, by_lines: bool) -> None:
        self._spool, self._whose, self._by_lines = spool, whose, by_lines
        self.why: dict[int, str] = {}  # a file's first reason, by its number
        self.said: list[str] = []  # of no file in particular

    def take(self, block: bytes) -> None:
        """Take some lines of the results, or of the errors beside them."""
        for line in block.decode(errors="replace").split("\n"):
            if line and not line.isspace():
                self._take(line)

    def _take(self, line: str) -> None:
        told = _read(line)
        if isinstance(told, str):
            self._say(told)
            return
        try:
            owners = self._whose(told)
            text = _text(told, self._by_lines)
        except _UNTOLD as error:
            self._say(_error(told) or f"a result that tells no record of this job ({error})")
            return
        for number, place in owners:
            if text is None:
                self.why.setdefault(number, _reason(told))
            else:
                self._spool.put(place, text)

    def _say(self, text: str) -> None:
        if len(self.said) < SAID:
            self.said.append(text[:SHOWN])


def _read(line: str) -> dict[str, Any] | str:
    """The line's members, or what it says that has none: a failure's reason, told with how many it cost."""
    try:
        told = json.loads(line)
        return told if isinstance(told, dict) else str(told)
    except ValueError:
        found = _STATS.fullmatch(line.strip())
        return found["reason"] if found else line.strip()


def _text(told: Mapping[str, Any], by_lines: bool) -> bytes | None:
    """The answer as the container gave it, its lines ended; None where there is none."""
    text = told.get("prediction")
    if not isinstance(text, str) or (by_lines and "\n" in text):
        return None
    return f"{text}\n".encode() if by_lines else text.encode() or None


def _reason(told: Mapping[str, Any]) -> str:
    return _error(told) or f"an answer that is no line of text: {json.dumps(told.get('prediction'))[:SHOWN]}"


def _error(told: Mapping[str, Any]) -> str:
    error = told.get("error") or ""
    return str(error.get("message") or error if isinstance(error, Mapping) else error)[:SHOWN]
