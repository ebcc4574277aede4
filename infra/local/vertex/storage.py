"""Cloud Storage for the local cloud: gcp_storage_emulator, called without a socket of its own.

In front of it stand what it lacks: preconditions, reasons in its 404s, objects in files whatever their names.
All requests run one after another, so that a precondition holds until what it guards is done.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from infra.local.errors import Answer
from infra.local.vertex import objectpages, preconditions
from infra.local.vertex.errors import JSON_TYPE, GoogleError
from infra.local.vertex.names import number_of
from infra.local.vertex.objectfiles import ObjectFiles

INSTALL = (
    "the local Cloud Storage needs a package: python -m pip install -c constraints.txt "
    "-r infra/local/requirements-gcp.txt, then python -m infra.local down"
)
PATHS = re.compile(r"/((upload|download|batch)/)?storage/v1(/|$)")
_OBJECT = re.compile(r"/(?:(?:upload|download)/)?storage/v1/b/(?P<bucket>[^/]+)(?:/o(?:/(?P<name>[^/]*))?)?$")
_Json = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One HTTP request: `target` is path and query as they were sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Storage:
    """The buckets of all projects. Its methods may be called from any thread."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """`url` is where the objects' own links shall point."""
        self._folder = folder
        self._host = url.partition("://")[2]
        self._lock = threading.Lock()
        self._account: Any = None
        self._uploads: dict[str, tuple[str, str, dict[str, str]]] = {}  # upload id: what it was begun for

    def answer(self, request: Request) -> Answer:
        """Answers a request of the JSON API."""
        with self._lock:
            try:
                return self._answered(request)
            except GoogleError as error:
                return _refused(error.http_status, error.message, "notImplemented")
            except Exception as error:
                _log.exception("%s %s failed", request.method, request.target)
                return _refused(500, f"{type(error).__name__}: {error}", "internalError")

    def make_bucket(self, bucket: str, project: str) -> bool:
        """Makes the bucket in that project unless it is there; whether it was made. Raises GoogleError."""
        body = json.dumps({"name": bucket}).encode()
        target = f"/storage/v1/b?{urlencode({'project': project})}"
        answer = self._ask("POST", target, body, allowed=(409,))
        return answer.status != 409

    def list(self, bucket: str, prefix: str = "") -> list[str]:
        """The names that begin with the prefix, in order. Raises GoogleError NOT_FOUND for no such bucket."""
        with self._lock:
            storage = self._loaded()
            if bucket not in storage.buckets:
                raise GoogleError("NOT_FOUND", no_bucket(bucket))
            return sorted(name for name in storage.objects.get(bucket, {}) if name.startswith(prefix))

    def open(self, bucket: str, name: str) -> BinaryIO:
        """The object's bytes, which stay readable whatever becomes of the object; the caller closes it.

        Raises GoogleError NOT_FOUND.
        """
        with self._lock:
            storage = self._loaded()
            if name not in storage.objects.get(bucket, {}):
                missing = no_object(bucket, name) if bucket in storage.buckets else no_bucket(bucket)
                raise GoogleError("NOT_FOUND", missing)
            # A file that is written anew must not change under its reader.
            return io.BytesIO(storage.get_file(bucket, name))

    def put(
        self, bucket: str, name: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Makes the object, whole or not at all. Raises GoogleError NOT_FOUND for no such bucket."""
        query = urlencode({"uploadType": "media", "name": name})
        self._ask("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", body, (("Content-Type", content_type),))

    def delete(self, bucket: str, name: str) -> None:
        """Deletes the object, if there is one. Raises GoogleError."""
        self._ask("DELETE", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}", b"", allowed=(404,))

    def _ask(
        self,
        method: str,
        target: str,
        body: bytes,
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
        allowed: tuple[int, ...] = (),
    ) -> Answer:
        answer = self.answer(Request(method, target, (*headers, ("Host", self._host)), body))
        if answer.status >= 400 and answer.status not in allowed:
            said = json.loads(answer.body)["error"]["message"]
            raise GoogleError("NOT_FOUND" if answer.status == 404 else "INTERNAL", said)
        return answer

    def _answered(self, request: Request) -> Answer:
        storage = self._loaded()
        split = urlsplit(request.target)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        bucket, name, conditions = self._aim(request, split.path, query)
        current = storage.objects.get(bucket, {}).get(name)
        broken = preconditions.broken(conditions, current)
        if broken and (current or request.method not in ("GET", "DELETE")):
            # A reader that has the newest already is told so.
            if request.method == "GET" and "NotMatch" in broken:
                return Answer(304, b"")
            return _refused(412, preconditions.FAILED, "conditionNotMet")
        # Of a bucket that is made: whose it is. Everything else leaves it alone.
        storage.project_number = number_of(query.get("project", ""))
        answer = _exchanged(storage, request)
        if request.method == "GET" and answer.status == 200:
            return _shaped(answer, split.path, query)
        self._remember(answer, bucket, name, conditions)
        if answer.status == 404 and not answer.body:
            missing = no_object(bucket, name) if bucket in storage.buckets else no_bucket(bucket)
            return _refused(404, missing, "notFound")
        return answer

    def _aim(self, request: Request, path: str, query: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
        """The bucket and the object that a request is about, and the conditions that it sets."""
        begun = self._uploads.get(query.get("upload_id", ""))
        if begun:
            return begun
        match = _OBJECT.fullmatch(path)
        if not match:
            return "", "", {}
        name = unquote(match["name"] or "") or query.get("name", "") or _name_in(request)
        return unquote(match["bucket"]), name, preconditions.of(query)

    def _remember(self, answer: Answer, bucket: str, name: str, conditions: dict[str, str]) -> None:
        """A resumable upload's later requests have none of its first one's parameters."""
        location = next((value for key, value in answer.headers if key.lower() == "location"), "")
        upload = dict(parse_qsl(urlsplit(location).query)).get("upload_id")
        if upload:
            self._uploads[upload] = (bucket, name, conditions)

    def _loaded(self) -> Any:
        if self._account is None:
            try:
                importlib.invalidate_caches()
                from gcp_storage_emulator.storage import Storage as Account
            except ImportError as error:
                raise GoogleError("UNIMPLEMENTED", f"{INSTALL} ({error})") from error
            for noisy in ("gcp_storage_emulator", "api"):
                logging.getLogger(noisy).setLevel(logging.CRITICAL)
            self._account = Account(use_memory_fs=True)
            self._account._store = ObjectFiles(self._folder)
        return self._account


def _shaped(answer: Answer, path: str, query: Mapping[str, str]) -> Answer:
    """A list as the query asks for it; anything else as it is."""
    try:
        if path == objectpages.BUCKETS:
            return objectpages.buckets_of(
                answer, number_of(query.get("project", "")), query.get("prefix", "")
            )
        return objectpages.paged(answer, query) if objectpages.LIST.fullmatch(path) else answer
    except ValueError as error:
        return _refused(400, str(error), "invalid")


def no_bucket(bucket: str) -> str:
    """Cloud Storage's sentence for a bucket that is not there."""
    return "The specified bucket does not exist." if bucket else "Not Found"


def no_object(bucket: str, name: str) -> str:
    """Cloud Storage's sentence for an object that is not there."""
    return f"No such object: {bucket}/{name}"


def _refused(status: int, message: str, reason: str) -> Answer:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    body = {"error": {"code": status, "message": message, "errors": errors}}
    return Answer(status, json.dumps(body).encode(), JSON_TYPE)


def _name_in(request: Request) -> str:
    """The name in an upload's metadata: its JSON body, or the first part of a multipart one."""
    text = request.body[:65536].decode("utf-8", "replace")
    start = text.find("{")
    try:
        found = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else {}
    except ValueError:
        return ""
    return str(found.get("name", "")) if isinstance(found, dict) else ""


class _Nothing(bytes):
    """An empty object's bytes, which the package would take for no body at all."""

    def __bool__(self) -> bool:
        return True


class _Exchange:
    """What gcp_storage_emulator's router expects of an HTTP server's request handler."""

    def __init__(self, storage: Any, request: Request) -> None:
        self.storage = storage
        self.path = request.target
        self.server = SimpleNamespace(server_address=("127.0.0.1", 0))
        self.headers = Message()
        for name, value in _with_length(request):
            self.headers[name] = value
        self.rfile: Any = io.BytesIO(request.body)
        self.wfile = io.BytesIO()
        if not request.body and "uploadType=media" in request.target:
            self.rfile = SimpleNamespace(read=lambda size: _Nothing())
        self.status = 200
        self.answered: list[tuple[str, str]] = []

    def send_response(self, status: int, phrase: str = "") -> None:
        self.status = status

    def send_header(self, name: str, value: str) -> None:
        if name.lower() != "content-length":
            self.answered.append((name, str(value)))

    def end_headers(self) -> None:
        """Nothing is sent yet."""


def _with_length(request: Request) -> Iterable[tuple[str, str]]:
    for name, value in request.headers:
        if name.lower() not in ("content-length", "transfer-encoding"):
            yield name, value
    yield "Content-Length", str(len(request.body))


def _exchanged(storage: Any, request: Request) -> Answer:
    from gcp_storage_emulator.server import Router

    exchange = _Exchange(storage, request)
    Router(exchange).handle(request.method)
    return Answer(exchange.status, exchange.wfile.getvalue(), tuple(exchange.answered))
