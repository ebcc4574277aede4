"""What this server speaks, as an OpenAPI 3.1 document: routes, content types, answers and errors. Pure.

No cloud asks for it: it is for whoever calls a container directly, writes a client, or tests one. Content
types and errors come from where they are decided, so that it cannot say another thing than the server does.
Source: spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Any

import orjson

from inference.serving import errors
from inference.serving.codecs import media
from inference.serving.counting import metrics
from inference.serving.errors import Refusal, Unavailable
from inference.serving.settings import Settings

PATH = "/openapi.json"
Object = dict[str, Any]


class Speaks(Enum):
    """What the predict route takes and answers, which is the handler's choice."""

    PREDICTIONS = "instances in, one prediction for each out"
    PIECES = "instances in, a stream of pieces out"
    ANYTHING = "what the handler, written for another server, takes and answers"


# What a request on any route may be refused for: it is no HTTP, late, or too large.
_EVERYWHERE = (errors.BadBody, errors.TooSlow, errors.TooLarge, errors.HeadersTooLarge)
_OF_A_HANDLER = (Refusal, errors.HandlerFailed, errors.BadPredictions)
_OF_PREDICTIONS = (errors.NotAcceptable, errors.UnsupportedMediaType, *_OF_A_HANDLER, Unavailable)
_NOT_NOW = ["loading", "draining", "overloaded", "failed"]
_SENTENCES = {
    400: "Not HTTP/1.1, or the body is not what its content type says or not what the handler takes.",
    406: "Accept allows no form in which the predictions can be written.",
    408: "The headers or the body took too long to arrive.",
    413: "The body is longer than SLIPWAY_MAX_BODY_MB.",
    415: "A content type, charset or content encoding that is not read here.",
    431: "Too many bytes of headers.",
    500: "The handler failed, or what it returned cannot be written.",
    503: "Not now: come back after Retry-After seconds.",
}
_TEXT: Object = {"type": "string"}
_ASKING: list[Object] = [
    {
        "name": "Slipway-Timing",
        "in": "header",
        "description": "Whatever it says, it asks for Server-Timing in the answer.",
        "schema": _TEXT,
    },
    {
        "name": "X-Amzn-SageMaker-Custom-Attributes",
        "in": "header",
        "description": "As SageMaker hands it on; the word slipway-timing asks for the same in it.",
        "schema": _TEXT,
    },
]
_TOLD: Object = {
    "Server-Timing": {"description": "Milliseconds of each phase, if asked for.", "schema": _TEXT},
    "X-Amzn-SageMaker-Custom-Attributes": {"description": "The same, if asked for there.", "schema": _TEXT},
}
_JSON_BODY: Object = {
    "oneOf": [
        {"type": "array", "description": "A list of instances."},
        {"type": "object", "not": {"required": ["instances"]}, "description": "One instance."},
        {
            "type": "object",
            "required": ["instances"],
            "properties": {
                "instances": {"type": "array"},
                # Vertex AI's SDK sends them; a handler takes instances alone.
                "parameters": {"enum": [None, {}, [], "", 0, False]},
            },
            "additionalProperties": False,
        },
    ]
}
_READ: dict[str, Object] = {
    media.JSON: {"schema": _JSON_BODY},
    media.JSON_LINES: {"schema": _TEXT | {"description": "A line an instance: any JSON value."}},
    media.CSV: {"schema": _TEXT | {"description": "A row an instance; header=present: by column names."}},
    media.NPY: {"schema": {"description": "numpy.save's array; its first axis counts the instances."}},
    media.PARQUET: {"schema": {"description": "A row an instance: an object by column names."}},
}
_WRITTEN: dict[str, Object] = {
    media.JSON: {"schema": {"description": 'As the request: a list, one alone, or {"predictions": [...]}.'}},
    media.JSON_LINES: {"schema": _TEXT | {"description": "A line a prediction."}},
    media.CSV: {"schema": _TEXT | {"description": "A row a prediction."}},
    media.NPY: {"schema": {"description": "The predictions as one array of numbers."}},
}


@lru_cache(maxsize=4)
def text(settings: Settings, speaks: Speaks) -> bytes:
    """The document of a server with these settings, as JSON."""
    return orjson.dumps(document(settings, speaks))


def document(settings: Settings, speaks: Speaks) -> Object:
    """The document of a server with these settings."""
    paths: dict[str, Object] = {
        "/metrics": {"get": _operation("Phases, requests and queue, for Prometheus.", _metrics())},
        "/execution-parameters": {"get": _operation("What suits a transform job of SageMaker's.", _json())},
        PATH: {"get": _operation("This document.", _json(), Unavailable)},
    }
    for route in settings.health_routes:
        paths.setdefault(route, {})["get"] = _operation("Whether requests are answered.", {}, Unavailable)
    for route in settings.predict_routes:
        paths.setdefault(route, {})["post"] = _predict(speaks)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Slipway", "version": "1", "description": f"This server: {speaks.value}."},
        "paths": paths,
        "components": {"schemas": {"Error": _error()}},
    }


def _operation(summary: str, answered: Object, *refusals: type[Refusal]) -> Object:
    responses = {"200": {"description": summary, **answered}, **_refused((*_EVERYWHERE, *refusals))}
    return {"summary": summary, "responses": responses}


def _predict(speaks: Speaks) -> Object:
    operation = _operation("The predictions.", _answered(speaks), *_OF_PREDICTIONS)
    if speaks is Speaks.ANYTHING:
        operation["responses"]["default"] = {"description": "As the handler answers.", "content": {"*/*": {}}}
        body: Object = {"*/*": {}}
    else:
        body = {name: _READ[read_as] for name, read_as in media.READ.items()}
    asking = [] if speaks is Speaks.PIECES else _ASKING
    return {**operation, "parameters": asking, "requestBody": {"required": True, "content": body}}


def _answered(speaks: Speaks) -> Object:
    if speaks is Speaks.ANYTHING:
        return {"content": {"*/*": {}}, "headers": _TOLD}
    if speaks is Speaks.PIECES:
        lines = [name for name, written_as in media.WRITTEN.items() if written_as == media.JSON_LINES]
        return {"content": {name: {"schema": _TEXT} for name in (*lines, media.EVENT_STREAM)}}
    content = {name: _WRITTEN[written_as] for name, written_as in media.WRITTEN.items()}
    return {"content": content, "headers": _TOLD}


def _metrics() -> Object:
    return {"content": {metrics.CONTENT_TYPE: {"schema": _TEXT}}}


def _json() -> Object:
    return {"content": {media.JSON: {"schema": {"type": "object"}}}}


def _refused(refusals: Iterable[type[Refusal]]) -> Object:
    """The responses for these refusals, those of one status in one; a code stands for one cause."""
    codes: dict[int, list[str]] = {}
    for refusal in refusals:
        codes.setdefault(refusal.status, []).extend(_NOT_NOW if refusal is Unavailable else [refusal.code])
    return {str(status): _response(status, codes[status]) for status in sorted(codes)}


def _response(status: int, codes: list[str]) -> Object:
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Error"},
            {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
        ]
    }
    response: Object = {"description": _SENTENCES[status], "content": {media.JSON: {"schema": schema}}}
    if status == Unavailable.status:
        response["headers"] = {
            "Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        }
    return response


def _error() -> Object:
    """{"error": {"code": word, "message": sentence}}, and nothing else."""
    inner = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": _TEXT, "message": _TEXT | {"maxLength": 2001}},
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "required": ["error"],
        "properties": {"error": inner},
        "additionalProperties": False,
    }
