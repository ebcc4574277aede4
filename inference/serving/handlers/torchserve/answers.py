"""What a TorchServe handler returned, or raised, as the answers that TorchServe's front end sends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference.serving.handlers import Answer
from inference.serving.handlers.torchserve.context import Context

_STATUSES = range(200, 600)


class PredictionException(Exception):
    """ts.utils.util's: an answer with this status and message, for every request of the batch."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def __str__(self) -> str:
        return f"{self.message} : {self.error_code}"


@dataclass(frozen=True)
class Failure:
    """Why a whole batch has no answers."""

    status: int
    message: str
    error: BaseException | None = None

    def answer(self) -> Answer:
        """The answer to each of its requests."""
        if self.status == 200:  # a handler may raise that as well
            return Answer(200, b"error", failure=self.error)
        return error_answer(self.status, self.message, self.error)


def error_answer(
    status: int, message: str, error: BaseException | None = None, kind: str = "InternalServerException"
) -> Answer:
    """An error as TorchServe words it; `kind` is the exception's name that it gives."""
    # The front end knows 413 as a worker's word for a full disk.
    status = {413: 507}.get(status, status) if status in _STATUSES else 500
    text = json.dumps({"code": status, "type": kind, "message": message}, indent=2, ensure_ascii=False)
    for line_end in ("\u2028", "\u2029"):  # as its JSON library does
        text = text.replace(line_end, line_end.encode("unicode_escape").decode())
    return Answer(status, text.encode("utf-8", "replace") + b"\n", "application/json", failure=error)


def raised(error: BaseException) -> Failure:
    """What TorchServe makes of an exception."""
    if isinstance(error, MemoryError) or "CUDA" in str(error):
        return Failure(507, "Out of resources", error)
    if type(error).__name__ == "PredictionException" and hasattr(error, "error_code"):
        return Failure(error.error_code, str(getattr(error, "message", error)), error)
    return Failure(503, "Prediction failed", error)


def returned(results: Any, context: Context) -> list[Answer] | Failure:
    """One answer for each of the context's requests, from what the handler returned for them."""
    count = len(context.request_processor)
    if not isinstance(results, list):
        return Failure(503, "Invalid model predict output", _wrong(f"returned {type(results).__name__}"))
    if len(results) != count:
        wrong = _wrong(f"returned {len(results)} results for {count} requests")
        return Failure(503, "number of batch response mismatched", wrong)
    try:
        return [_answer(result, context, number) for number, result in enumerate(results)]
    except TypeError as error:
        return Failure(503, "Unsupported model output data type.", error)
    except Exception as error:  # TorchServe's worker dies of these
        return Failure(500, "Worker died.", error)


def _wrong(what: str) -> TypeError:
    return TypeError(f"the handler {what}; expected a list with one result for each request")


def _answer(result: Any, context: Context, number: int) -> Answer:
    status, _ = context.get_response_status(number)
    if status not in _STATUSES:
        raise ValueError(f"status {status!r} of request {number}: expected 200 to 599")
    headers = _checked(context.get_response_headers(number))
    kind = headers.pop("content-type", "")
    return Answer(status, encoded(result), kind, headers)


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, value in headers.items():
        if not isinstance(value, str) or not f"{name}{value}".isprintable():
            raise ValueError(f"header {name!r}: {value!r}: expected text on one line")
        found[name.lower()] = value
    return found


def encoded(result: Any) -> bytes:
    """One result's bytes: bytes and text as they are, a tensor as torch.save writes it, the rest as JSON."""
    if isinstance(result, bytes | bytearray):
        return bytes(result)
    if isinstance(result, str):
        return result.encode("utf-8")
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(result, torch.Tensor):
        file = io.BytesIO()
        torch.save(result, file)
        return file.getvalue()
    return json.dumps(result, indent=2).encode("utf-8")
