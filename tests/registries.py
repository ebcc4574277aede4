"""A registry of images that takes pushes, for real tools: only what a push needs, in memory.

Source: github.com/opencontainers/distribution-spec, "Pushing manifests" and "Pushing blobs".
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "AWS", "not-for-anybody's-eyes"
UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/([0-9a-f-]*)")
BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
MANIFEST = re.compile(r"/v2/(.+)/manifests/(.+)")


@dataclass
class Pushed:
    """What was pushed: blobs by digest, manifests by name and tag."""

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)


@contextlib.contextmanager
def registry() -> Iterator[Pushed]:
    """A registry that lets USER in with PASSWORD."""
    pushed = Pushed()
    kind = type("Handler", (_Handler,), {"pushed": pushed})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        pushed.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield pushed
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    pushed: Pushed
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._is_let_in():
            self._answer(200 if urlsplit(self.path).path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        if self._is_let_in():
            blob = BLOB.fullmatch(self.path)
            self._answer(200 if blob and blob[2] in self.pushed.blobs else 404)

    def do_POST(self) -> None:
        if self._is_let_in():
            self._body()
            number = str(uuid.uuid4())
            self.pushed.uploads[number] = b""
            self._answer(202, Location=f"{urlsplit(self.path).path}{number}")

    def do_PATCH(self) -> None:
        if self._is_let_in():
            number = UPLOADS.fullmatch(self.path)[2]  # type: ignore[index]
            self.pushed.uploads[number] += self._body()
            end = len(self.pushed.uploads[number]) - 1
            self._answer(202, Location=self.path, Range=f"0-{end}")

    def do_PUT(self) -> None:
        if not self._is_let_in():
            return None
        body, split = self._body(), urlsplit(self.path)
        if named := MANIFEST.fullmatch(split.path):
            self.pushed.manifests[f"{named[1]}:{named[2]}"] = json.loads(body)
            return self._answer(201, **{"Docker-Content-Digest": _digest(body)})
        number = UPLOADS.fullmatch(split.path)[2]  # type: ignore[index]
        content = self.pushed.uploads.pop(number) + body
        (digest,) = parse_qs(split.query)["digest"]
        self.pushed.blobs[digest] = content
        return self._answer(201 if digest == _digest(content) else 400, Location=f"/blobs/{digest}")

    def _is_let_in(self) -> bool:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            return True
        self._body()
        self._answer(401, **{"WWW-Authenticate": 'Basic realm="images"'})
        return False

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
