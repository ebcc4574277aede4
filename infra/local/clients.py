"""boto3's clients of an account, answered by its records in this process: no socket has a part in it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.local.cloud import Caller
from infra.local.records import Question, Records

if TYPE_CHECKING:
    from botocore.session import Session

# Nothing of the user's own: neither profile nor files.
_NOBODY_S: dict[str, Any] = {
    "profile": (None, [], None, None),
    "config_file": (None, [], os.devnull, None),
    "credentials_file": (None, [], os.devnull, None),
}


class Account:
    """A caller's account: a client for each service, which checks what it is given as boto3 does."""

    def __init__(self, records: Records, caller: Caller) -> None:
        self.caller = caller
        self._records = records
        self._clients: dict[str, Any] = {}
        self._session: Session | None = None

    def client(self, service: str) -> Any:
        """The client of that service. Its calls raise botocore's ClientError, and are not tried again."""
        if service not in self._clients:
            self._clients[service] = self._made(service)
        return self._clients[service]

    def _made(self, service: str) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        if self._session is None:
            self._session = Session(session_vars=_NOBODY_S)
            self._session.set_credentials(self.caller.account, "local")
        settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        made = self._session.create_client(
            service, region_name=self.caller.region, endpoint_url=self._records.url, config=settings
        )
        made.meta.events.register("before-send", lambda request, **_: self._answer(service, request))
        return made

    def _answer(self, service: str, request: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        body = request.body or b""
        stream = io.BytesIO(body.encode() if isinstance(body, str) else body)
        there = urlsplit(request.url)
        length = stream.getbuffer().nbytes
        headers = [(name.lower(), _text(value)) for name, value in request.headers.items()]
        question = Question(request.method, there.path or "/", headers, there.query, stream, length)
        reply = self._records.ask(self.caller, service, question)
        told = HTTPHeaders.from_dict(dict(reply.headers))
        return AWSResponse(request.url, reply.status, told, _Raw(b"".join(reply.body)))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class _Raw:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
