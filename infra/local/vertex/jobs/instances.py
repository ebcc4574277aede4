"""The instances of a batch prediction, as its input files have them and as its container gets them.

Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#input_data_requirements, and
BatchPredictionJob.InstanceConfig
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.local.vertex.api import Json
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.jobs import gcs
from infra.local.vertex.storage import Storage

FORMATS = ("jsonl", "csv", "file-list")
_CELL = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,\r\n]*))(?P<end>,|\r\n|\n|\r|\Z)')
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Instance:
    """`sent` is the JSON that the container gets, `told` what stands beside its prediction; or an error."""

    sent: str = ""
    told: str = ""
    error: str = ""


def read(storage: Storage, job: Json) -> Iterator[Instance]:
    """Every instance of the job's input, file by file. Raises GoogleError for what cannot be read at all."""
    config = job["inputConfig"]
    asked = job.get("instanceConfig", {})
    for wanted in config["gcsSource"]["uris"]:
        for uri in gcs.matching(storage, wanted):
            yield from _READERS[config["instancesFormat"]](storage, uri, asked)


def check_config(asked: Json, instances_format: str) -> None:
    """Raises GoogleError INVALID_ARGUMENT for an instanceConfig that does not go with the format."""
    if asked.get("includedFields") and asked.get("excludedFields"):
        raise invalid("included_fields and excluded_fields cannot both be set.", "instance_config")
    if asked.get("instanceType", "") not in ("", "object", "array"):
        raise invalid("instance_type must be object or array.", "instance_config.instance_type")
    if asked and instances_format == "file-list":
        raise invalid("instance_config does not apply to file-list.", "instance_config")
    if instances_format == "csv" and set(asked) - {"keyField"}:
        raise invalid("Of instance_config only key_field applies to csv.", "instance_config")


def _text(storage: Storage, uri: str) -> str:
    bucket, name = gcs.split(uri, "input_config.gcs_source.uris")
    with storage.open(bucket, name) as content:
        try:
            return content.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise invalid(f"{uri} is not UTF-8: {error}") from error


def _json_lines(storage: Storage, uri: str, asked: Json) -> Iterator[Instance]:
    for number, line in enumerate(_text(storage, uri).split("\n"), 1):
        text = line.strip()
        if not text:
            continue
        try:
            value = json.loads(text)
        except ValueError as error:
            raise invalid(f"{uri}: line {number} is not JSON: {error}") from error
        # Verbatim where nothing is asked: a number keeps its digits.
        yield _configured(value, asked, f"{uri}: line {number}") if asked else Instance(text, _told(text))


def _configured(value: Any, asked: Json, where: str) -> Instance:
    if not isinstance(value, dict):
        raise invalid(f"{where} is no JSON object, which instance_config needs.")
    key = asked.get("keyField", "")
    names = asked.get("includedFields") or [
        name for name in value if name != key and name not in asked.get("excludedFields", ())
    ]
    try:
        sent = {name: value[name] for name in names}
        beside = {"key": value[key]} if key else {"instance": value}
    except KeyError as error:
        raise invalid(f"{where} has no field {error}.") from error
    as_asked = list(sent.values()) if asked.get("instanceType") == "array" else sent
    return Instance(json.dumps(as_asked), json.dumps(beside)[1:-1])


def _csv(storage: Storage, uri: str, asked: Json) -> Iterator[Instance]:
    """Rows as arrays: a number that is not in quotes is a float, everything else is text."""
    rows = _rows(_text(storage, uri))
    header = [str(name) for name in next(rows, [])]
    key = asked.get("keyField", "")
    if key and key not in header:
        raise invalid(f"{uri}: the header has no column {key!r}.", "instance_config.key_field")
    at = header.index(key) if key else -1
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise invalid(f"{uri}: row {number} has {len(row)} cells; its header has {len(header)}.")
        sent = json.dumps([_value(cell) for place, cell in enumerate(row) if place != at])
        yield Instance(sent, json.dumps({"key": _value(row[at])})[1:-1] if key else _told(sent))


class _Quoted(str):
    """A cell that stood in quotes."""


def _rows(text: str) -> Iterator[list[str]]:
    row: list[str] = []
    at = 0
    while at < len(text):
        found = _CELL.match(text, at)
        if found is None:
            raise invalid(f"The CSV input cannot be read from {text[at : at + 30]!r} on.")
        quoted = found["quoted"]
        row.append(_Quoted(quoted.replace('""', '"')) if quoted is not None else found["plain"])
        at = found.end()
        if found["end"] != ",":
            if row != [""]:
                yield row
            row = []
        elif at == len(text):
            yield [*row, ""]


def _value(cell: str) -> str | float:
    numeric = not isinstance(cell, _Quoted) and _NUMBER.fullmatch(cell.strip())
    return float(cell) if numeric else str(cell)


def _file_list(storage: Storage, uri: str, asked: Json) -> Iterator[Instance]:
    for line in _text(storage, uri).splitlines():
        if not line.strip():
            continue
        try:
            bucket, name = gcs.split(line.strip(), uri)
            with storage.open(bucket, name) as content:
                sent = json.dumps({"b64": base64.b64encode(content.read()).decode()})
        except GoogleError as error:
            yield Instance(error=f"{line.strip()}: {error.message}")
        else:
            yield Instance(sent, _told(sent))


def _told(sent: str) -> str:
    return f'"instance": {sent}'


_READERS = {"jsonl": _json_lines, "csv": _csv, "file-list": _file_list}
