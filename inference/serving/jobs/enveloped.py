"""The requests of Vertex AI's batch prediction, answered as a transform job's. No sockets in here.

Such a job posts {"instances": [...]} and wants {"predictions": [...]}, one for each. Here each instance
carries a record of the input verbatim: the records are put together to the body that SageMaker would have
posted, that is scored by the same code, and each record gets its line of the answer as a text. So the results
are the same on both clouds, byte for byte.
Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from inference.serving import codecs
from inference.serving.codecs import Shape, media
from inference.serving.codecs.media import JSON, PARQUET
from inference.serving.errors import BadBody, UnsupportedMediaType, shown
from inference.serving.exchange import Attempt, Reply, Request
from inference.serving.jobs import joined, records
from inference.serving.jobs.scoring import Policy
from inference.serving.predictor import Phases, timed

_LINE, _FILE = "record", "b64"


@dataclass(frozen=True)
class Envelope:
    """What the instances carry and how they are answered, as content types, and how records are treated.

    Of JSON Lines and CSV an instance is {"record": a line without its line feed}, answered by its line; of
    Parquet it is {"b64": a whole file}, answered by the lines of all its rows, each ended.
    """

    records: str
    accept: str
    policy: Policy


def attempt(scored: Attempt, envelope: Envelope, request: Request, phases: Phases) -> Reply:
    """The reply to an envelope; `scored` answers the bodies that are in it.

    An instance that is no record, a blank line or the header, is answered null. With the policy's `join` a
    record's line is joined to it, and the header is answered with the header over all columns. BadBody names
    the instance that carries no record; what `scored` raises is raised.
    """
    with timed(phases, "decode"):
        instances = _instances(request)
    answered = _answer_files if envelope.records == PARQUET else _answer_lines
    predictions = answered(scored, envelope, instances, phases)
    with timed(phases, "encode"):
        return Reply(200, JSON, orjson.dumps({"predictions": predictions}))


def _instances(request: Request) -> list[Any]:
    if request.content_type.format != JSON:
        raise UnsupportedMediaType(
            f"Content-Type: {request.content_type.format} is not read in this job; expected {JSON}"
        )
    decoded = codecs.decode(bytes(request.body), request.content_type)
    if decoded.shape is not Shape.ENVELOPE or not isinstance(decoded.instances, list):
        raise BadBody(f'{JSON}: found {decoded.shape.value}; expected {{"instances": [...]}}')
    return decoded.instances


def _answer_files(
    scored: Attempt, envelope: Envelope, instances: list[Any], phases: Phases
) -> list[str | None]:
    with timed(phases, "decode"):
        texts = _texts(instances, _FILE, "a whole file in base64")
        files = [_unpacked(place, text) for place, text in enumerate(texts)]
    return [scored(_request(envelope, file), phases).body.decode() for file in files]


def _answer_lines(
    scored: Attempt, envelope: Envelope, instances: list[Any], phases: Phases
) -> list[str | None]:
    with timed(phases, "decode"):
        body = _body(_texts(instances, _LINE, "one line of text"))
    answer = scored(_request(envelope, body), phases).body
    with timed(phases, "encode"):
        return _each_line(envelope, body, answer, len(instances))


def _request(envelope: Envelope, body: bytes) -> Request:
    kind = media.content_type(envelope.records)
    return Request(body, kind, media.accepted(envelope.accept, kind.format))


def _unpacked(place: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _no_record(place, f'"{_FILE}" is {shown(text)}, which is no base64 ({error})') from None


def _body(lines: list[str]) -> bytes:
    body = "\n".join(lines)
    if body.count("\n") >= max(len(lines), 1):
        place = next(number for number, line in enumerate(lines) if "\n" in line)
        raise _no_record(place, f'"{_LINE}" has a line feed in it; expected one line without its end')
    return body.encode()


def _texts(instances: list[Any], key: str, expected: str) -> list[str]:
    texts: list[Any] = [one.get(key) if isinstance(one, dict) else None for one in instances]
    if set(map(type, texts)) - {str}:
        place = next(number for number, text in enumerate(texts) if not isinstance(text, str))
        raise _no_record(place, f'{shown(instances[place])}; expected {{"{key}": "{expected}"}}')
    return texts


def _no_record(place: int, what: str) -> BadBody:
    return BadBody(f"{JSON}: instances[{place}]: {what}")


def _each_line(envelope: Envelope, body: bytes, answer: bytes, count: int) -> list[str | None]:
    """The line of each of so many instances, whose records are the body's lines."""
    policy = envelope.policy
    if not policy.join and answer.count(b"\n") == count:  # then each of them is a record
        return list(_lines(answer))
    places = records.places(body, media.content_type(envelope.records), policy.header, headers=policy.join)
    if policy.join:
        lines = body.split(b"\n")
        answer = joined.join([lines[place] for place in places], answer.split(b"\n")[:-1], envelope.records)
    predictions: list[str | None] = [None] * count
    for place, line in zip(places, _lines(answer), strict=True):
        predictions[place] = line
    return predictions


def _lines(answer: bytes) -> list[str]:
    return answer.decode().split("\n")[:-1]
