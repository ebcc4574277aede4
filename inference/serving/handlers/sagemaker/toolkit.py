"""AWS's inference toolkit as most images use it: MXNet's, PyTorch's, and those that people made with it.

Source: pypi.org/project/sagemaker-inference 1.10.1, modules transformer and default_inference_handler
"""

from __future__ import annotations

import sys
from typing import Any

from inference.serving.handlers.sagemaker import decoders, encoders, failures, responses, tracebacks
from inference.serving.handlers.sagemaker.context import RequestProcessor
from inference.serving.handlers.sagemaker.headers import parse_accept
from inference.serving.handlers.sagemaker.image import Image


def default_input_fn(input_data: Any, content_type: str | None) -> Any:
    """The body as an array."""
    return decoders.decode(input_data, content_type)


def default_output_fn(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    """The prediction in the first content type of `accept` that can be written, and that content type."""
    for content_type in parse_accept(accept):
        if content_type in encoders.SUPPORTED_CONTENT_TYPES:
            return encoders.encode(prediction, content_type), content_type
    raise failures.UnsupportedFormatError(accept)


def reply(result: Any, accept: str, request: RequestProcessor) -> Any:
    """A tuple names its body's content type, a response object everything; else it is what was asked for."""
    if responses.is_response(result):
        return responses.spread(result, request)
    body, content_type = (result[0], result[1]) if isinstance(result, tuple) else (result, accept)
    request.add_response_property("content-type", content_type)
    return body


def fail(error: Exception, request: RequestProcessor) -> str:
    """The status that the toolkit's own exceptions carry, else 500; the message over the traceback."""
    trace = tracebacks.text(error)
    told: Any = error
    if not isinstance(error, _toolkit_errors()):
        told = failures.GenericInferenceToolkitError(500, str(error))
    request.report_status(told.status_code, told.phrase)
    return f"{told.message}\n{trace}"


def _toolkit_errors() -> tuple[type[BaseException], ...]:
    # Where AWS's own package is installed, a handler raises its class and not ours.
    loaded = sys.modules.get("sagemaker_inference.errors")
    theirs = getattr(loaded, "BaseInferenceToolkitError", failures.BaseInferenceToolkitError)
    return failures.BaseInferenceToolkitError, theirs


TOOLKIT = Image("", {"input_fn": default_input_fn, "output_fn": default_output_fn}, reply, fail)
