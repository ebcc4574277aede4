"""A Google API's refusal: google.rpc's codes, and the form in which REST carries them.

Source: cloud.google.com/apis/design/errors
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from infra.local.errors import Answer

# Each status with its google.rpc.Code and the HTTP status that goes with it.
CODES = {
    "CANCELLED": (1, 499),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
}
JSON_TYPE = (("content-type", "application/json; charset=UTF-8"),)


class GoogleError(Exception):
    """What the service answers instead of a result; `status` is one of CODES, `details` messages as JSON."""

    def __init__(self, status: str, message: str, details: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.details = list(details)

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the code."""
        return CODES[self.status][1]


def as_answer(error: GoogleError) -> Answer:
    """For a request that is refused."""
    body: dict[str, Any] = {"code": error.http_status, "message": error.message, "status": error.status}
    if error.details:
        body["details"] = error.details
    return Answer(error.http_status, json.dumps({"error": body}, indent=2).encode(), JSON_TYPE)


def as_rpc_status(error: GoogleError) -> dict[str, Any]:
    """For a long-running operation or a job that failed: google.rpc.Status."""
    status: dict[str, Any] = {"code": CODES[error.status][0], "message": error.message}
    return {**status, "details": error.details} if error.details else status


def invalid(message: str, field: str = "") -> GoogleError:
    """INVALID_ARGUMENT, naming the field where one is to blame."""
    violation = {"field": field, "description": message}
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return GoogleError("INVALID_ARGUMENT", message, details if field else ())


def not_found(name: str) -> GoogleError:
    """The resource of that name is not there."""
    kind = name.rsplit("/", 2)[-2] if name.count("/") > 1 else "resource"
    return GoogleError("NOT_FOUND", f"The {_ONE.get(kind, kind)} {name!r} does not exist.".replace("'", '"'))


_ONE = {
    "models": "Model",
    "endpoints": "Endpoint",
    "operations": "Operation",
    "customJobs": "CustomJob",
    "batchPredictionJobs": "BatchPredictionJob",
    "trainingPipelines": "TrainingPipeline",
}
