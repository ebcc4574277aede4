"""Input and output side by side, line by line, as the platform's JoinSource=Input writes them. Pure.

Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

from typing import Any

import orjson

from inference.serving.media import CSV

_INPUT, _OUTPUT = b"SageMakerInput", b"SageMakerOutput"


def join(records: list[bytes], answers: list[bytes], content_type: str) -> bytes:
    """Each record (a line without its end) with its answer, in a line; there are as many of both.

    CSV: the answer's cells after the record's. JSON: an object gains SageMakerOutput, anything else becomes
    an object with SageMakerInput and SageMakerOutput; numbers stay as they are written. A record that is no
    JSON (its answer is an error then) is SageMakerInput as text.
    """
    pair = _row if content_type == CSV else _object
    return b"".join(pair(record, answer) for record, answer in zip(records, answers, strict=True))


def _row(record: bytes, answer: bytes) -> bytes:
    return record.rstrip(b"\r") + b"," + answer + b"\n"


def _object(record: bytes, answer: bytes) -> bytes:
    text = record.strip()
    if not _is_json(text):
        text = orjson.dumps(text.decode("utf-8", "replace"))
    if not text.startswith(b"{"):
        return b'{"%s":%s,"%s":%s}\n' % (_INPUT, text, _OUTPUT, answer)
    if _OUTPUT in text:
        return _replaced(text, answer)
    comma = b"" if text[1:-1].isspace() or len(text) == 2 else b","
    return b'%s%s"%s":%s}\n' % (text[:-1], comma, _OUTPUT, answer)


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _replaced(text: bytes, answer: bytes) -> bytes:
    """A name must not be there twice: where the record has it already, the answer takes its place."""
    row: Any = orjson.loads(text)
    row[_OUTPUT.decode()] = orjson.Fragment(answer)
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
