"""Cloud Storage's JSON API, as much of it as a container speaks, on a port of its own, with faults to order.

It also answers as the metadata server does. Source: cloud.google.com/storage/docs/json_api/v1/objects
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token"


@dataclass
class Storage:
    """The objects of one bucket; `faults` are the answers that the next requests get instead of theirs.

    A fault is a status, "cut" for half a body, "wrong" for other bytes of the same length, None for none.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    bucket: str = "bucket"
    page: int = 2
    wants_token: bool = False
    faults: list[int | str | None] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def running(storage: Storage) -> Iterator[Storage]:
    """Serves the storage for as long as this lasts."""
    handler = type("Handler", (_Handler,), {"storage": storage})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        storage.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield storage
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    storage: Storage

    def log_message(self, format: str, *args: Any) -> None:
        self.storage.requests.append(f"{self.command} {self.path}")

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        if split.path.startswith("/computeMetadata/"):
            flavored = self.headers["Metadata-Flavor"] == "Google"
            return self._json(200 if flavored else 403, {"access_token": TOKEN, "expires_in": 3599})
        fault = self.storage.faults.pop(0) if self.storage.faults else None
        if self._refused(fault):
            return None
        where = f"/storage/v1/b/{self.storage.bucket}/o"
        if split.path == where:
            return self._list(parse_qs(split.query))
        content = self.storage.objects.get(unquote(split.path.removeprefix(f"{where}/")))
        if not split.path.startswith(where) or content is None:
            return self._error(404, "No such object")
        return self._bytes(bytes(len(content)) if fault == "wrong" else content, fault)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.storage.faults.pop(0) if self.storage.faults else None
        if not self._refused(fault):
            query = parse_qs(urlsplit(self.path).query)
            self.storage.objects[query["name"][0]] = body
            self._json(200, {"name": query["name"][0]})

    def _refused(self, fault: int | str | None) -> bool:
        given = self.headers["Authorization"]
        if isinstance(fault, int):
            self._error(fault, f"fault {fault}")
        elif given != (f"Bearer {TOKEN}" if self.storage.wants_token else None):
            self._error(401, f"Authorization {given}")
        else:
            return False
        return True

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        names = sorted(name for name in self.storage.objects if name.startswith(prefix))
        start = int(query.get("pageToken", ["0"])[0])
        shown = names[start : start + self.storage.page]
        following = start + len(shown)
        more = {"nextPageToken": str(following)} if following < len(names) else {}
        self._json(200, {"items": [self._item(name) for name in shown], **more})

    def _item(self, name: str) -> dict[str, str]:
        content = self.storage.objects[name]
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        return {"name": name, "size": str(len(content)), "md5Hash": digest}

    def _json(self, status: int, document: Any) -> None:
        self._bytes(json.dumps(document).encode(), status=status)

    def _error(self, status: int, message: str) -> None:
        self._json(status, {"error": {"code": status, "message": message}})

    def _bytes(self, body: bytes, fault: int | str | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
