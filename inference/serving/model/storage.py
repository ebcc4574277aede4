"""Reads Cloud Storage over its JSON API: the runtime's image has no cloud SDK, and needs two calls alone.

The token is the container's own, from the metadata server; STORAGE_EMULATOR_HOST names a storage that wants
none. Sources: cloud.google.com/storage/docs/json_api/v1/objects and .../docs/retry-strategy,
cloud.google.com/compute/docs/access/authenticate-workloads
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlencode

_API = "https://storage.googleapis.com"
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - an address
_PIECE = 1024 * 1024
_PAGE = 1000
_TIMEOUT_S = 60.0  # without a byte
_AGAIN = (408, 429, 500, 502, 503, 504)
Result = TypeVar("Result")


class StorageError(Exception):
    """The storage, or who gives the token for it, did not answer as it should; `status` 0: not at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Storage:
    """Where the storage answers and who gives the token for it ("": none is wanted).

    `waits_s` are the seconds before each further try of a call that may yet succeed.
    """

    url: str = _API
    metadata: str = ""
    waits_s: tuple[float, ...] = (0.5, 1, 2, 4, 8)


@dataclass(frozen=True)
class Object:
    """One object: its whole name, and what its bytes must be (`size` -1, `md5` "": not known)."""

    bucket: str
    name: str
    size: int
    md5: str


def reached_by(env: Mapping[str, str]) -> Storage:
    """The storage that this environment is meant to use, by the names that Google's own libraries know."""
    local = env.get("STORAGE_EMULATOR_HOST", "")
    if local:
        return Storage(_address(local))
    return Storage(_API, _address(env.get("GCE_METADATA_HOST") or "metadata.google.internal"))


def objects(storage: Storage, bucket: str, prefix: str) -> Iterator[Object]:
    """Every object whose name begins with the prefix, page by page. Raises StorageError."""
    query = {"prefix": prefix, "maxResults": str(_PAGE)}
    while True:
        path = f"/storage/v1/b/{quote(bucket, safe='')}/o?{urlencode(query)}"
        page = _tried(storage, lambda path=path: _json(storage, path))  # type: ignore[misc]  # the page's own path
        yield from (_object(bucket, item) for item in page.get("items", ()))
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def download(storage: Storage, found: Object, file: IO[bytes]) -> None:
    """Write the object's bytes, and no others, into the file. Raises StorageError, or the file's OSError."""
    _tried(storage, lambda: _download(storage, found, file))


def _download(storage: Storage, found: Object, file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()
    md5, size = hashlib.md5(usedforsecurity=False), 0
    path = f"/storage/v1/b/{quote(found.bucket, safe='')}/o/{quote(found.name, safe='')}?alt=media"
    with _opened(storage, path) as answer:
        while piece := _read(answer):
            file.write(piece)
            md5.update(piece)
            size += len(piece)
    digest = base64.b64encode(md5.digest()).decode()
    if found.size not in (-1, size) or found.md5 not in ("", digest):
        raise StorageError(f"{size:,} bytes came that are not the object's {found.size:,}", 503)


def _read(answer: http.client.HTTPResponse) -> bytes:
    # Apart from the file's own errors, which no second try makes good.
    try:
        return answer.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"the answer broke off: {error}", 503) from None


def _object(bucket: str, item: Mapping[str, Any]) -> Object:
    if item.get("contentEncoding"):  # it is unpacked on the way: these are of what lies there
        return Object(bucket, item["name"], -1, "")
    return Object(bucket, item["name"], int(item.get("size", -1)), item.get("md5Hash", ""))


def _json(storage: Storage, path: str) -> dict[str, Any]:
    try:
        with _opened(storage, path) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (ValueError, OSError, http.client.HTTPException) as error:
        raise StorageError(f"{storage.url} did not answer with JSON: {error}", 503) from None


def _tried(storage: Storage, call: Callable[[], Result]) -> Result:
    """The call's result, where need be at a later try."""
    for wait_s in storage.waits_s:
        try:
            return call()
        except StorageError as error:
            if error.status and error.status not in _AGAIN:
                raise
            time.sleep(wait_s)
    return call()


def _opened(storage: Storage, path: str) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {_token(storage.metadata)}"} if storage.metadata else {}
    return _get(storage.url, path, headers)


def _token(metadata: str) -> str:
    """The container's token, asked for each time: the metadata server keeps it, and renews it in time."""
    try:
        with _get(metadata, _TOKEN_PATH, {"Metadata-Flavor": "Google"}) as answer:
            return str(json.load(answer)["access_token"])
    except (StorageError, ValueError, LookupError, OSError) as error:
        status = getattr(error, "status", 0)
        raise StorageError(f"no token from the metadata server {metadata}: {error}", status) from None


def _get(host: str, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(host + path, headers=dict(headers))  # noqa: S310 - of _address
    try:
        answer: http.client.HTTPResponse = _OPENER.open(request, timeout=_TIMEOUT_S)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(1000).decode("utf-8", "replace")
        raise StorageError(f"{error.code} {error.reason}: {_message(said)}", error.code) from None
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"{host} cannot be reached: {getattr(error, 'reason', error)}") from None


def _message(said: str) -> str:
    """What an error's body says: Google's own sentence, or all of it."""
    try:
        return str(json.loads(said)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return said.strip()


def _address(host: str) -> str:
    return (host if "://" in host else f"http://{host}").rstrip("/")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API sends nobody elsewhere, and the token must not go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


# Proxies are none of it: Google's addresses are reached from a container of its own directly.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
