"""The routes of the container contract as one ASGI application; what touches a socket and what waits is here.

/ping and /metrics never queue: they are answered on the event loop, while the handler runs in its own thread.
One call into C that keeps the interpreter's lock for seconds still holds them up: only a process of its own
would not.
Sources: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html,
cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson

from inference.serving import exchange, media
from inference.serving.batcher import Batcher, Job
from inference.serving.body import Body, ClientGone
from inference.serving.errors import (
    BadBody,
    MethodNotAllowed,
    NotFound,
    Refusal,
    Unavailable,
    UnsupportedMediaType,
    shown,
)
from inference.serving.exchange import Reply
from inference.serving.metrics import CONTENT_TYPE, Metrics
from inference.serving.settings import Settings, transforms

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Route = Callable[[Scope, Body], Awaitable[Reply]]

_CLOSE = (b"connection", b"close")
_CLIENT_GONE = 499


class Service:
    """Answers requests. Its state is "loading", "ready" or "draining", and only the event loop changes it."""

    def __init__(self, settings: Settings, batcher: Batcher, metrics: Metrics) -> None:
        self.state = "loading"
        self.in_flight = 0
        self._settings = settings
        self._batcher = batcher
        self._metrics = metrics
        self._since = time.monotonic()
        self._open: set[asyncio.Future[Reply | None]] = set()
        self._routes = self._routing()
        metrics.gauge(
            "in_flight", "Requests on the predict route that are not answered yet.", lambda: self.in_flight
        )
        metrics.gauge("queue_waiting", "Requests that wait for the model.", lambda: batcher.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it. Whatever happens, it is answered, unless its client has gone."""
        body = Body(scope, receive, self._settings)
        try:
            reply = await self._reply(scope, body)
        except ClientGone:
            return
        whole = await body.discard()
        await _send(send, reply, close=self.state == "draining" or not whole)

    def cut(self) -> None:
        """Answer 503 to every request that is still open; draining took too long."""
        reply = exchange.refused(
            Unavailable("the server is stopping and did not get to this request", "draining")
        )
        for future in list(self._open):
            _settle(future, reply)

    async def _reply(self, scope: Scope, body: Body) -> Reply:
        try:
            return await self._route(scope)(scope, body)
        except Refusal as refusal:
            return exchange.refused(refusal)
        except ClientGone:
            raise
        except Exception as error:
            return exchange.unexpected(error)

    def _routing(self) -> dict[str, dict[str, Route]]:
        routes: dict[str, dict[str, Route]] = {
            "/metrics": {"GET": self._show_metrics},
            "/execution-parameters": {"GET": self._execution_parameters},
        }
        for path in self._settings.health_routes:
            routes.setdefault(path, {})["GET"] = self._ping
        for path in self._settings.predict_routes:
            routes.setdefault(path, {})["POST"] = self._invoke
        return routes

    def _route(self, scope: Scope) -> Route:
        methods = self._routes.get(scope["path"])
        if methods is None:
            known = ", ".join(f"{method} {path}" for path, ms in self._routes.items() for method in ms)
            raise NotFound(f"{shown(scope['path'])} is not served here; expected one of {known}")
        route = methods.get(scope["method"])
        if route is None:
            allowed = ", ".join(methods)
            raise MethodNotAllowed(f"{shown(scope['method'])} {scope['path']}: expected {allowed}", allowed)
        return route

    async def _ping(self, scope: Scope, body: Body) -> Reply:
        self._check_ready()
        return Reply(200, "application/json", b"")

    async def _show_metrics(self, scope: Scope, body: Body) -> Reply:
        return Reply(200, CONTENT_TYPE, self._metrics.text())

    async def _execution_parameters(self, scope: Scope, body: Body) -> Reply:
        # Asked once, before the job's first request, and not asked again: so also while the model loads.
        return Reply(200, "application/json", orjson.dumps(_execution_parameters()))

    async def _invoke(self, scope: Scope, body: Body) -> Reply:
        self.in_flight += 1
        status = _CLIENT_GONE
        try:
            reply = await self._predicted(scope, body)
            status = reply.status
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            self.in_flight -= 1
            self._metrics.count(status)
        return reply

    async def _predicted(self, scope: Scope, body: Body) -> Reply:
        self._check_ready()
        headers = dict(scope["headers"])
        content_type, accepted = _negotiated(headers)
        self._batcher.check_room()
        request = exchange.Request(await body.read(), content_type, accepted)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        job = Job(request, lambda reply: loop.call_soon_threadsafe(_settle, future, reply))
        self._batcher.submit(job)
        return await self._answered(future, job, scope["state"]["connection"])

    async def _answered(self, future: asyncio.Future[Reply | None], job: Job, connection: Any) -> Reply:
        self._open.add(future)
        connection.watch(partial(_settle, future, None))
        try:
            reply = await future
        finally:
            connection.watch(None)
            self._open.discard(future)
        if reply is None:
            self._batcher.withdraw(job)
            raise ClientGone
        return reply

    def _check_ready(self) -> None:
        if self.state == "loading":
            seconds = time.monotonic() - self._since
            raise Unavailable(
                f"the model is loading and its samples are checked ({seconds:.0f} s so far)", "loading"
            )
        if self.state == "draining":
            raise Unavailable(
                "the server is stopping: it finishes what it has and takes nothing new", "draining"
            )


def _execution_parameters() -> dict[str, Any]:
    """What suits a transform job that leaves it to us; their product may be 100 MB at most."""
    return {
        "MaxConcurrentTransforms": transforms(),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def _negotiated(headers: dict[bytes, bytes]) -> tuple[media.ContentType, media.Accepted]:
    if b"upgrade" in headers:
        # What follows the headers then belongs to the other protocol, and no body is seen.
        raise BadBody(f"Upgrade: {shown(headers[b'upgrade'])} is not spoken here; send plain HTTP/1.1")
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaType(
            f"Content-Encoding: {shown(encoding)} is not read here; send the body as it is"
        )
    content_type = media.content_type(headers.get(b"content-type", b"").decode("latin-1"))
    return content_type, media.accepted(headers.get(b"accept", b"").decode("latin-1"), content_type.format)


def _settle(future: asyncio.Future[Reply | None], reply: Reply | None) -> None:
    if not future.done():
        future.set_result(reply)


async def _send(send: Send, reply: Reply, *, close: bool) -> None:
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    if close:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
