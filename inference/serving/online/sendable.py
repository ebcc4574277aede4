"""What a handler of another server answered, as far as HTTP can carry it.

Such a handler sets a status and headers of its own, and may take them from what a caller sent. A line end in
one would begin a header, or an answer, of that caller's choice, and a Transfer-Encoding would tell the client
of another end than the connection has; so the framing is ours alone.
Source: RFC 9110 sections 5.5, 7.6.1 and 15, RFC 9112 section 6
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from inference.serving.errors import HandlerFailed, shown
from inference.serving.exchange import Reply
from inference.serving.handlers import Answer

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# Of the connection, which is ours.
_OURS = {
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_WITHOUT_BODY = {204, 205, 304}


def reply(answer: Answer) -> Reply:
    """The answer, without what it says of the connection. HandlerFailed where no HTTP answer can hold it."""
    if not isinstance(answer.status, int) or not 200 <= answer.status <= 999:
        raise HandlerFailed(
            f"the handler answered with the status {shown(answer.status)}; expected 200 to 999"
        )
    _check([("content-type", answer.content_type), *answer.headers.items()])
    headers = tuple(
        (name.encode("latin-1"), text.encode("latin-1"))
        for name, text in answer.headers.items()
        if name.lower() not in _OURS
    )
    body = b"" if answer.status in _WITHOUT_BODY else answer.body
    return Reply(answer.status, answer.content_type, body, headers)


def _check(headers: Iterable[tuple[str, str]]) -> None:
    for name, text in headers:
        if not (isinstance(text, str) and _TOKEN(name) and _TEXT(text)):
            raise HandlerFailed(
                f"the handler answered with the header {shown(name)}: {shown(text)}; expected a name of "
                "letters, digits and dashes, and text on one line"
            )
