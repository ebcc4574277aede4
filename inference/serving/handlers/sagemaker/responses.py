"""A handler's result as a response object: the `worker.Response` of AWS's older toolkit, or one like it.

Source: pypi.org/project/sagemaker-containers 2.8.6, module _worker; werkzeug.palletsprojects.com, Response
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inference.serving.handlers.sagemaker.content_types import JSON
from inference.serving.handlers.sagemaker.context import RequestProcessor

_WITH_CHARSET = {
    "application/ecmascript",
    "application/javascript",
    "application/sql",
    "application/xml",
    "application/xml-dtd",
    "application/xml-external-parsed-entity",
}


def with_charset(mimetype: str) -> str:
    """The content type of a mimetype: text says that it is UTF-8."""
    if mimetype.startswith("text/") or mimetype in _WITH_CHARSET or mimetype.endswith("+xml"):
        return f"{mimetype}; charset=utf-8"
    return mimetype


class Response:
    """What a handler makes of its prediction: body, status, content type and headers."""

    default_mimetype = JSON

    def __init__(  # noqa: PLR0913 - handlers pass what werkzeug's Response takes
        self,
        response: Any = None,
        accept: str | None = None,  # AWS ignores it too
        status: Any = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,  # noqa: FBT001, FBT002 - handlers may pass it by its place
    ) -> None:
        self._body = joined(response)
        self.status_code = int(status.split()[0]) if isinstance(status, str) else int(status)
        self.headers = dict(headers or {})
        stated = any(name.lower() == "content-type" for name in self.headers)
        if mimetype is not None or not stated:
            self.headers = {
                name: text for name, text in self.headers.items() if name.lower() != "content-type"
            }
            self.headers["Content-Type"] = with_charset(mimetype or self.default_mimetype)

    @property
    def content_type(self) -> str:
        return next(text for name, text in self.headers.items() if name.lower() == "content-type")

    @property
    def mimetype(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def data(self) -> bytes:
        return self._body

    @data.setter
    def data(self, body: Any) -> None:
        self._body = joined(body)

    response = data

    def get_data(self, as_text: bool = False) -> Any:  # noqa: FBT001, FBT002 - as above
        return self._body.decode() if as_text else self._body

    def set_data(self, body: Any) -> None:
        self._body = joined(body)


def joined(body: Any) -> bytes:
    """A body as a web framework takes it: text, bytes, nothing, or an iterable of texts and bytes."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    return b"".join(joined(part) for part in body)


def is_response(result: Any) -> bool:
    """Whether it is one of ours, or of Flask or werkzeug."""
    return hasattr(result, "status_code") and callable(getattr(result, "get_data", None))


def spread(response: Any, request: RequestProcessor) -> Any:
    """Set the answer's status and headers to the response's, and return its body."""
    request.report_status(response.status_code)
    for name, text in response.headers.items():
        if name.lower() != "content-length":
            request.add_response_property("content-type" if name.lower() == "content-type" else name, text)
    return response.get_data()
