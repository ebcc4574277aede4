"""What AWS's model server makes of a handler's result: bytes, status and headers, or its own error.

Source: pypi.org/project/multi-model-server 1.1.11, measured on the running server
"""

from __future__ import annotations

import json
import operator
import re
from typing import Any

from inference.serving.handlers import Answer
from inference.serving.handlers.sagemaker.content_types import JSON
from inference.serving.handlers.sagemaker.context import RequestProcessor

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# HTTP forbids a body there, and clients wait for none.
_WITHOUT_BODY = {204, 304}


class _Unwritable(Exception):
    """A status or header that no HTTP answer can hold."""


def answer(body: Any, request: RequestProcessor, failure: BaseException | None = None) -> Answer:
    """The answer with this body, and the status and headers that were set in the request."""
    try:
        status, headers = _status(request), _headers(request)
        content = _content(body)
    except TypeError as error:
        return refused(503, "Unsupported model output data type.", failure or error)
    except Exception as error:
        return died(failure or error)
    content_type = headers.pop("content-type", "")
    return Answer(status, b"" if status in _WITHOUT_BODY else content, content_type, headers, failure)


def died(failure: BaseException) -> Answer:
    """What the server says where a handler's result, or sys.exit() in the handler, ended its worker."""
    return refused(500, "Worker died.", failure)


def refused(status: int, message: str, failure: BaseException) -> Answer:
    """An error in the server's own form."""
    error = {"code": status, "type": "InternalServerException", "message": message}
    return Answer(status, f"{json.dumps(error, indent=2)}\n".encode(), JSON, {}, failure)


def _status(request: RequestProcessor) -> int:
    status = request.get_response_status_code()
    if status is None:
        return 200
    if not hasattr(status, "__index__") or not 200 <= operator.index(status) <= 999:
        raise _Unwritable(f"status {status!r}; expected a number from 200 to 999")
    return operator.index(status)


def _headers(request: RequestProcessor) -> dict[str, str]:
    headers = {}
    for name, text in request.get_response_headers().items():
        if not isinstance(name, str) or not _TOKEN(name):
            raise _Unwritable(f"response header {name!r}; expected a name of letters, digits and dashes")
        if not isinstance(text, str) or not _TEXT(text):
            raise _Unwritable(f"response header {name}: {text!r}; expected text on one line")
        # In another spelling than the toolkit's it is the handler's own wish, and stands.
        if name != "content-type" or name not in headers:
            headers[name.lower() if name.lower() == "content-type" else name] = text
    return headers


def _content(body: Any) -> bytes:
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, indent=2).encode()
