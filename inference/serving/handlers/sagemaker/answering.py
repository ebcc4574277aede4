"""One request to a loaded handler and back, as AWS's toolkit and model server take it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from inference.serving.handlers import Answer, Call, one_by_one
from inference.serving.handlers.sagemaker import intakes, wire
from inference.serving.handlers.sagemaker.content_types import ANY, JSON, UTF8_TYPES
from inference.serving.handlers.sagemaker.context import Context, RequestProcessor
from inference.serving.handlers.sagemaker.image import Image, ServerError


class SageMakerHandler:
    """A loaded handler. `transform` takes body, content type and accept.

    One request at a time, as in a worker of AWS's model server: handlers and their context rely on it.
    """

    def __init__(
        self, shape: str, image: Image, context: Context, transform: Callable[[Any, Any, Any], Any]
    ) -> None:
        self.shape = shape
        self.intake = intakes.PLAIN
        self._image = image
        self._context = context
        self._transform = transform
        self._accept = image.accept or os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        self._one_at_a_time = threading.Lock()

    def answer(self, call: Call) -> Answer:
        with self._one_at_a_time:
            try:
                return self._answer(call)
            except BaseException as error:  # sys.exit() in a handler fails its request, not the server
                return wire.died(error)

    def answer_all(self, calls: Sequence[Call]) -> list[Answer]:
        return one_by_one(self, calls)

    def _answer(self, call: Call) -> Answer:
        request = self._context.begin(call)
        try:
            return wire.answer(self._body(call, request), request)
        except Exception as error:
            return self._failed(error, request)

    def _body(self, call: Call, request: RequestProcessor) -> Any:
        content_type = call.content_type or self._image.content_type
        accept = call.accept if call.accept and call.accept != ANY else self._accept
        body = call.body.decode() if content_type in UTF8_TYPES else self._image.body(call.body)
        return self._image.reply(self._transform(body, content_type, accept), accept, request)

    def _failed(self, error: Exception, request: RequestProcessor) -> Answer:
        try:
            return wire.answer(self._image.fail(error, request), request, error)
        except ServerError as told:
            return wire.refused(told.status, str(told), error)
        except Exception as second:  # an exception whose message cannot be read, say
            return wire.refused(503, "Prediction failed", second)
