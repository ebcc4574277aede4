"""What an AWS serving image is to a handler: the functions it brings, and what it makes of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.serving.handlers.sagemaker.context import RequestProcessor

Function = Callable[..., Any]


class ServerError(Exception):
    """An error that the model server answers in its own form: a status, and a message in JSON."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Image:
    """`defaults` are the functions it brings, by name: model_fn, input_fn, predict_fn, output_fn.

    `reply` takes what output_fn or transform_fn returned, the content type asked for, and the request; it
    sets the answer's status and headers there and returns the body. `fail` does so with what a function
    raised, or raises a ServerError. `accept` is what is asked for where a request does not say, None for the
    setting SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT; `content_type` is what a body is where a request does not
    say; `body` is how a body that is no text is handed over.
    """

    name: str
    defaults: Mapping[str, Function]
    reply: Callable[[Any, str, RequestProcessor], Any]
    fail: Callable[[Exception, RequestProcessor], Any]
    accept: str | None = None
    content_type: str | None = None
    body: type[bytes] | type[bytearray] = bytearray
