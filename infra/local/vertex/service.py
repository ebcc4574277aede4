"""Google's services put together: what answers, what it shares, and what ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.local.asgi import Receive, Scope, Send
from infra.local.settings import Settings
from infra.local.vertex import certificates
from infra.local.vertex.api import Vertex
from infra.local.vertex.autoscaling import Autoscaling
from infra.local.vertex.builds import Builds
from infra.local.vertex.dedicated import Listener
from infra.local.vertex.deploying import Deploying
from infra.local.vertex.deployments import Deployments
from infra.local.vertex.endpoints import Endpoints
from infra.local.vertex.front import Front
from infra.local.vertex.jobs import Jobs
from infra.local.vertex.logs import Logs
from infra.local.vertex.longrunning import LongRunning
from infra.local.vertex.models import Models
from infra.local.vertex.operations import Operations
from infra.local.vertex.predictions import DataPlane
from infra.local.vertex.registry import Registry
from infra.local.vertex.schedules import Schedules
from infra.local.vertex.storage import Storage


class Service:
    """Vertex AI and Cloud Storage."""

    def __init__(self, settings: Settings, url: str, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the event loop on which it serves."""
        folder = settings.home / "objects" / "google"
        self.vertex = Vertex(settings, url, Operations(), Storage(folder, url), Logs())
        self._deployments = Deployments()
        self._models = models = Models(self.vertex, self._deployments)
        self._endpoints = Endpoints(self.vertex, self._deployments, self._dns)
        table = self._endpoints.table
        deploying = Deploying(self.vertex, models, table, self._deployments)
        self._autoscaling = Autoscaling(settings, table, self._deployments)
        self._data_plane = DataPlane(self.vertex, table, self._deployments)
        self._jobs = Jobs(self.vertex, models)
        routes = [*models.routes, *self._endpoints.routes, *deploying.routes]
        routes += LongRunning(self.vertex).routes
        images = Registry(self.vertex)
        self._builds = Builds(self.vertex, images)
        self._schedules = Schedules(self.vertex)
        routes += [*self._jobs.routes, *images.routes, *self._builds.routes, *self._schedules.routes]
        self._front = Front(self.vertex, routes, self._data_plane, images)
        self._dedicated = Listener(settings, self._front, loop)
        self._autoscaling.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that `infra.local.vertex.claims`."""
        await self._front(scope, receive, send)

    def ready(self, trusted: str = "", project: str = "") -> dict[str, str]:
        """What a shell must know beside the address: the bundle that trusts dedicated endpoints.

        `trusted` is the bundle that the shell trusts already, "" for the usual one; `project` becomes the
        default credentials' project. Blocks; in a thread.
        """
        self._front.project = project or self._front.project
        others = Path(trusted) if trusted and Path(trusted).is_file() else None
        return {"bundle": str(certificates.bundle(self.vertex.settings.home, others))}

    def endpoints(self) -> list[dict[str, str]]:
        """Every endpoint, as the local cloud's status shows it: name, status, region, account."""
        return self._endpoints.summarised()

    def _dns(self) -> str:
        return self._dedicated.dns()

    async def close(self) -> None:
        """Stops every container and waits until they are gone; called once, at the end."""
        self._schedules.close()
        self._autoscaling.close()
        await self._dedicated.close()
        operations, grace = self.vertex.operations, self.vertex.settings.stop_grace_s
        self._builds.close()
        await asyncio.to_thread(self._jobs.close, grace)
        await asyncio.to_thread(operations.close, grace)
        await asyncio.to_thread(self._deployments.close)
        await self._data_plane.close()
        self._front.close()
