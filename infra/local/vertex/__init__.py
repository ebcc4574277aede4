"""Vertex AI and Cloud Storage for the local cloud: the same process, Google's paths, real containers.

Whoever uses AWS alone pays nothing for it: it is imported and made when the first request of Google's comes,
and Google's own SDK later still.
"""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING

from infra.local.asgi import Receive, Scope, Send, header
from infra.local.settings import Settings

if TYPE_CHECKING:
    from infra.local.vertex.service import Service

PATHS = re.compile(
    r"/(v1|ui)/projects/|/v1/services/|/((upload|download|batch)/)?storage/v1(/|$)|/computeMetadata/|"
    r"/v2/entries:list$|/v2/[^/]+/[^/]+/.+/(manifests|blobs)/"
)


def claims(scope: Scope) -> bool:
    """Whether a request is for one of Google's services: by its path, unless AWS's signature is on it."""
    if header(scope, b"authorization").startswith("AWS4-") or b"X-Amz-" in scope["query_string"]:
        return False
    if scope["path"] == "/":
        return bool(header(scope, b"metadata-flavor"))
    return bool(PATHS.match(scope["path"]))


class Google:
    """Google's side of the local cloud. Made on the event loop on which it serves."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._settings, self._url = settings, url
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that `claims`."""
        if self._service is None:
            await asyncio.to_thread(self.service)
        assert self._service is not None
        await self._service(scope, receive, send)

    def service(self) -> Service:
        """The service, made when it is first asked for. From any thread but the event loop's."""
        with self._lock:
            if self._service is None:
                from infra.local.vertex.service import Service

                self._service = Service(self._settings, self._url, self._loop)
            return self._service

    def endpoints(self) -> list[dict[str, str]]:
        """Every endpoint of Vertex AI, for the local cloud's status."""
        return self._service.endpoints() if self._service else []

    async def close(self) -> None:
        """Stops every container and waits until they are gone; called once, at the end."""
        if self._service:
            await self._service.close()
