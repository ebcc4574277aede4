"""Input and output side by side, line by line, as the platform's JoinSource=Input writes them. Pure.

Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

from typing import Any

import orjson

from inference.serving.codecs.media import CSV

_INPUT, _OUTPUT = b"SageMakerInput", b"SageMakerOutput"


def join(records: list[bytes], answers: list[bytes], content_type: str) -> bytes:
    """Each record (a line without its end) with its answer, in a line; there are as many of both.

    CSV: the answer's cells after the record's. JSON: an object gains SageMakerOutput, anything else becomes
    an object with SageMakerInput and SageMakerOutput; numbers stay as they are written, unless the object has
    a SageMakerOutput of its own. A record that is no JSON (its answer is an error then) is SageMakerInput as
    text.
    """
    pair = _row if content_type == CSV else _object
    return b"".join(pair(record, answer) for record, answer in zip(records, answers, strict=True))


def _row(record: bytes, answer: bytes) -> bytes:
    return record.rstrip(b"\r") + b"," + answer + b"\n"


def _object(record: bytes, answer: bytes) -> bytes:
    text = record.rstrip(b"\r")
    try:
        value: Any = orjson.loads(text.strip())
    except orjson.JSONDecodeError:
        value, text = None, orjson.dumps(text.strip().decode("utf-8", "replace"))
    if not isinstance(value, dict):
        return b'{"%s":%s,"%s":%s}\n' % (_INPUT, text, _OUTPUT, answer)
    if _OUTPUT.decode() in value:
        # A name must not be there twice: the answer takes its place.
        value[_OUTPUT.decode()] = orjson.Fragment(answer)
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    inside = text.strip()[1:-1].rstrip()
    comma = b"," if inside else b""
    return b'{%s%s"%s":%s}\n' % (inside, comma, _OUTPUT, answer)
