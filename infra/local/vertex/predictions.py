"""The data plane: predict, rawPredict and streamRawPredict, carried from a caller to a container.

It runs on the event loop. Of the three, streamRawPredict alone hands the answer on as it comes, and that on
dedicated endpoints: there Google's documents promise streams, of server-sent events (whether others pass as
well was not tried), and none on shared endpoints.
Source: cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from infra.local.asgi import Receive, Scope, Send, body_within, header, send_answer, while_there
from infra.local.errors import Answer
from infra.local.vertex import payloads
from infra.local.vertex.api import Path, Vertex, call_of
from infra.local.vertex.containers import Container
from infra.local.vertex.deployed import timeout_s
from infra.local.vertex.deployments import Deployment, Deployments, choose
from infra.local.vertex.errors import JSON_TYPE, GoogleError, not_found
from infra.local.vertex.resources import Table

if TYPE_CHECKING:
    import aiohttp

STREAM = "streamRawPredict"
_SHAPES = frozenset({"endpoints/*:predict", "endpoints/*:rawPredict", f"endpoints/*:{STREAM}"})
# Under the kit's server's own, so that no connection is used in the moment in which the container closes it.
KEEP_ALIVE_S = 3.0

# What is handed on beside the content type, to the container and back. Google's documents leave open which
# headers are; these two carry what nothing depends on. With streamRawPredict the Accept goes, too: it chooses
# between two forms of stream, and without it there is one as well.
HANDED_ON, HANDED_BACK = ("Slipway-Timing",), ("Server-Timing",)

Got = TypeVar("Got")
# What asks a container, which has a place for it.
Ask = Callable[[Deployment, Container], Awaitable[Got]]

_log = logging.getLogger(__name__)


def predicts(method: str, path: Path | None) -> bool:
    """Whether a request is one for the data plane."""
    return path is not None and method == "POST" and path.shape in _SHAPES


@dataclass(frozen=True)
class Terms:
    """What an endpoint allows, and how."""

    shared: bool
    payload_bytes: int
    timeout_s: float


@dataclass(frozen=True)
class Exchange:
    """One request on its way to a container."""

    verb: str
    body: bytes
    headers: Mapping[str, str]
    terms: Terms


class DataPlane:
    """What answers on endpoints/*:predict, :rawPredict and :streamRawPredict."""

    def __init__(self, vertex: Vertex, endpoints: Table, deployments: Deployments) -> None:
        self._vertex, self._endpoints, self._deployments = vertex, endpoints, deployments
        self._session: aiohttp.ClientSession | None = None

    async def predict(self, scope: Scope, path: Path, receive: Receive, send: Send) -> None:
        """Answers one request; raises GoogleError or CallerLeft."""
        name = call_of(path, "", {}).name
        terms = self._terms(scope, name)
        if terms.shared and path.verb == STREAM:
            text = f"{STREAM} is not supported on a shared endpoint: {name} is none with a dedicated DNS."
            raise GoogleError("FAILED_PRECONDITION", text)
        body = await body_within(receive, terms.payload_bytes)
        if body is None:
            raise payloads.too_large(terms.payload_bytes, header(scope, b"content-length"))
        if path.verb == "predict":
            body = payloads.shared_request(body) if terms.shared else payloads.dedicated_request(body)
        exchange = Exchange(path.verb, body, _headers_on(scope, path), terms)
        if path.verb == STREAM:
            # Whoever leaves a stream midway gives its place in the container back.
            streaming = self._with_container(name, partial(self._streamed, exchange, send))
            await while_there(receive, streaming)
        else:
            await send_answer(send, await self._with_container(name, partial(self._whole, exchange)))

    async def close(self) -> None:
        """Closes the connections to the containers."""
        if self._session:
            await self._session.close()

    def _terms(self, scope: Scope, name: str) -> Terms:
        endpoint, settings = self._endpoints.peek(name), self._vertex.settings
        dns = endpoint.get("dedicatedEndpointDns", "")
        if not dns:
            if scope["scheme"] == "https":
                raise not_found(name)
            return Terms(True, settings.shared_payload_bytes, settings.shared_timeout_s)
        if scope["scheme"] != "https":
            here = header(scope, b"host")
            text = f"Dedicated Endpoint cannot be accessed through the shared Vertex AI domain {here}. "
            text += f"Please access the endpoint using its dedicated dns name '{dns}'"
            raise GoogleError("FAILED_PRECONDITION", text)
        seconds = timeout_s(endpoint, settings.dedicated_timeout_s)
        return Terms(False, settings.dedicated_payload_bytes, seconds)

    async def _with_container(self, name: str, ask: Ask[Got]) -> Got:
        while True:
            split = self._endpoints.peek(name).get("trafficSplit", {})
            if not any(int(share) for share in split.values()):
                raise GoogleError("FAILED_PRECONDITION", f"Endpoint {name} doesn't have traffic_split.")
            deployment, container = choose(split, self._deployments)
            if not container.enter():
                continue  # it has just begun to retire, and is not chosen again
            try:
                return await ask(deployment, container)
            except ConnectionRefusedError:
                container.healthy = False  # nothing was sent: another may take it
            finally:
                container.leave()

    async def _whole(self, exchange: Exchange, deployment: Deployment, container: Container) -> Answer:
        async with self._asked(exchange, container) as answer:
            said = await answer.read()
            return _as_answer(deployment, exchange, (answer.status, answer.headers, said))

    async def _streamed(
        self, exchange: Exchange, send: Send, deployment: Deployment, container: Container
    ) -> None:
        async with self._asked(exchange, container) as answer:
            await _stream_back(deployment, answer, send)

    @asynccontextmanager
    async def _asked(self, exchange: Exchange, container: Container) -> AsyncIterator[aiohttp.ClientResponse]:
        """The container's answer, its head there. Raises GoogleError, or ConnectionRefusedError."""
        import aiohttp

        request = self._http().post(
            f"http://127.0.0.1:{container.port}{container.spec.predict_route}",
            data=exchange.body,
            headers=exchange.headers,
            timeout=aiohttp.ClientTimeout(total=exchange.terms.timeout_s),
            allow_redirects=False,
        )
        try:
            async with request as answer:
                yield answer
        except TimeoutError as error:
            text = f"The model server did not answer within {exchange.terms.timeout_s:g} seconds."
            raise GoogleError("DEADLINE_EXCEEDED", text) from error
        except aiohttp.ClientConnectorError as error:
            raise ConnectionRefusedError(str(error)) from error
        except aiohttp.ClientError as error:
            text = f"The connection to the model server broke before its answer was whole: {error}"
            raise GoogleError("UNAVAILABLE", text) from error

    def _http(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session


def _headers_on(scope: Scope, path: Path) -> dict[str, str]:
    if path.verb == "predict":
        return {"Content-Type": "application/json"}
    names = ("Content-Type", *HANDED_ON, *(("Accept",) if path.verb == STREAM else ()))
    given = {name: header(scope, name.lower().encode()) for name in names}
    return {name: value for name, value in given.items() if value}


async def _stream_back(deployment: Deployment, answer: aiohttp.ClientResponse, send: Send) -> None:
    """Hand the container's answer on as it comes; where that breaks off, so does ours, without its end."""
    import aiohttp

    headers = _headers_back(deployment, answer.headers)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    try:
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except (TimeoutError, aiohttp.ClientError) as error:
        _log.info("a stream of %s broke off: %r", deployment.endpoint, error)
        return
    await send({"type": "http.response.body", "body": b""})


def _headers_back(deployment: Deployment, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    back = tuple((name.lower(), headers[name]) for name in HANDED_BACK if name in headers)
    return (*payloads.raw_headers(deployment, headers.get("Content-Type", "")), *back)


def _as_answer(
    deployment: Deployment, exchange: Exchange, got: tuple[int, Mapping[str, str], bytes]
) -> Answer:
    status, headers, said = got
    if len(said) > exchange.terms.payload_bytes:
        text = f"The model server's answer exceeds the limit: {exchange.terms.payload_bytes} bytes."
        raise GoogleError("FAILED_PRECONDITION", text)
    if exchange.verb == "rawPredict":
        return Answer(status, said, _headers_back(deployment, headers))
    return Answer(200, payloads.prediction(status, said, deployment, exchange.terms.shared), JSON_TYPE)
