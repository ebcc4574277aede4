"""What can go wrong, one class for each thing a caller can act on, and how values are shown in the text.

A Refusal is the answer to one request; a StartError ends the process.
"""

from __future__ import annotations

import reprlib
from typing import Any


class StartError(Exception):
    """The process cannot serve: one sentence with place, value and what would be right.

    Its __cause__, where there is one, is the user's own exception, and its traceback is worth printing.
    """


class Refusal(Exception):
    """A request answered with an error: status for HTTP, code for programs, text for people."""

    status = 500
    code = "internal"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class BadBody(Refusal):
    """The body is not what its content type says, or not what the handler takes."""

    status = 400
    code = "bad_request"


class NotFound(Refusal):
    """No such route."""

    status = 404
    code = "not_found"


class MethodNotAllowed(Refusal):
    """The route is there, the method is not; `allowed` is what it takes."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.headers = ((b"allow", allowed.encode("latin-1")),)


class NotAcceptable(Refusal):
    """The answer cannot be put into a form that Accept allows."""

    status = 406
    code = "not_acceptable"


class TooSlow(Refusal):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"


class TooLarge(Refusal):
    """The body is longer than the setting allows."""

    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(Refusal):
    """A content type, charset or content encoding that is not read here."""

    status = 415
    code = "unsupported_media_type"


class HeadersTooLarge(Refusal):
    """More header bytes than any caller of ours has reason to send."""

    status = 431
    code = "headers_too_large"


class HandlerFailed(Refusal):
    """The handler raised; __cause__ is its exception."""

    code = "handler_failed"


class BadPredictions(Refusal):
    """The handler returned something that is not one finite, writable prediction for each instance."""

    code = "bad_predictions"


class Unavailable(Refusal):
    """Not now: loading, draining, or too many requests waiting. Retry-After says when to come back."""

    status = 503
    headers = ((b"retry-after", b"1"),)

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _Short(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        # Python writes no number of more than 4300 digits in decimal: it raises.
        return super().repr_int(value, level) if value.bit_length() < 1024 else f"{value:#x}"[:20] + "..."


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = 6
_SHORT.maxlevel = 3


def shown(value: Any) -> str:
    """The value as it may stand in a message: on one line, short, control characters escaped."""
    return escaped(_SHORT.repr(value))


def escaped(text: str) -> str:
    """The text without anything that a log or a terminal obeys: line ends, escape codes, bidi marks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
