"""inference/samples.jsonl, where FROM holds an example request under one of the usual names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# MLflow's first; Vertex AI's notebooks say instances.json.
_NAMES = (
    *("samples.jsonl", "input_example.json", "serving_input_example.json", "instances.json"),
    *("sample_input.json", "sample_request.json", "sample_payload.json", "sample.json", "payload.json"),
    *("request.json", "example.json"),
)
_FOLDERS = ("", "code/", "examples/", "samples/", "sample/", "example/")
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Samples:
    """The file that was found, and its text as lines of JSON."""

    file: str
    text: str


def found(files: Mapping[str, Path]) -> Samples | None:
    """The first example that is JSON; a document becomes one line, and so one request."""
    for name in (f"{folder}{name}" for name in _NAMES for folder in _FOLDERS):
        if name in files and (text := _lines(files[name])):
            return Samples(name, text)
    return None


def _lines(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
        documents = text.splitlines() if path.suffix == ".jsonl" else [text]
        return "".join(f"{_compact(document)}\n" for document in documents if document.strip())
    except (ValueError, RecursionError):
        return ""


def _compact(document: str) -> str:
    return json.dumps(json.loads(document), ensure_ascii=False, allow_nan=False)
