"""The exceptions of AWS's inference toolkit, under its own names and texts: callers see both.

Source: pypi.org/project/sagemaker-inference 1.10.1, module errors
"""

from __future__ import annotations

from typing import Any

_AT_AWS = "sagemaker_inference.errors"
_UNSUPPORTED = (
    "Content type %s is not supported by this framework.\n"
    "\n"
    # The blanks are in what AWS answers.
    "            Please implement input_fn to to deserialize the request data or an output_fn to\n"
    "            serialize the response. For more information, see the SageMaker Python SDK README."
)


class UnsupportedFormatError(Exception):
    """No default decoder reads this content type, or no default encoder writes it."""

    # A traceback in an answer names the module.
    __module__ = _AT_AWS

    def __init__(self, content_type: Any, **others: Any) -> None:
        self._message = self.message = _UNSUPPORTED % content_type
        super().__init__(self._message, **others)


class BaseInferenceToolkitError(Exception):
    """What a handler raises to answer with a status and a message of its own."""

    __module__ = _AT_AWS

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same, with a message where none is given."""

    __module__ = _AT_AWS

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)


class RefusedBody(BaseInferenceToolkitError):
    """A body that is not read here although AWS's toolkit would: reading it could run code or fill memory."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message, "Bad Request")

    def __str__(self) -> str:
        return str(self.message)
