"""The data plane: predict and rawPredict, carried from a caller to a container, on the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.local.asgi import Receive, Scope, Send, body_within, header, send_answer
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

_SHAPES = frozenset({"endpoints/*:predict", "endpoints/*:rawPredict"})
# Under the kit's server's own, so that no connection is used in the moment in which the container closes it.
KEEP_ALIVE_S = 3.0


# What rawPredict hands on beside the content type, to the container and back. Google's documents leave open
# which headers do; these two carry what nothing depends on.
HANDED_ON, HANDED_BACK = ("Slipway-Timing",), ("Server-Timing",)


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
    """What answers on endpoints/*:predict and endpoints/*:rawPredict."""

    def __init__(self, vertex: Vertex, endpoints: Table, deployments: Deployments) -> None:
        self._vertex, self._endpoints, self._deployments = vertex, endpoints, deployments
        self._session: aiohttp.ClientSession | None = None

    async def predict(self, scope: Scope, path: Path, receive: Receive, send: Send) -> None:
        """Answers one request; raises GoogleError or CallerLeft."""
        name = call_of(path, "", {}).name
        terms = self._terms(scope, name)
        body = await body_within(receive, terms.payload_bytes)
        if body is None:
            raise payloads.too_large(terms.payload_bytes, header(scope, b"content-length"))
        if path.verb == "predict":
            body = payloads.shared_request(body) if terms.shared else payloads.dedicated_request(body)
        headers = _raw_headers(scope) if path.verb == "rawPredict" else {"Content-Type": "application/json"}
        exchange = Exchange(path.verb, body, headers, terms)
        await send_answer(send, await self._answered(name, exchange))

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

    async def _answered(self, name: str, exchange: Exchange) -> Answer:
        while True:
            split = self._endpoints.peek(name).get("trafficSplit", {})
            if not any(int(share) for share in split.values()):
                raise GoogleError("FAILED_PRECONDITION", f"Endpoint {name} doesn't have traffic_split.")
            deployment, container = choose(split, self._deployments)
            if not container.enter():
                continue  # it has just begun to retire, and is not chosen again
            try:
                return await self._exchanged(deployment, container, exchange)
            except ConnectionRefusedError:
                container.healthy = False  # nothing was sent: another may take it
            finally:
                container.leave()

    async def _exchanged(self, deployment: Deployment, container: Container, exchange: Exchange) -> Answer:
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
                said = await answer.read()
                return _as_answer(deployment, exchange, (answer.status, answer.headers, said))
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


def _raw_headers(scope: Scope) -> dict[str, str]:
    given = {name: header(scope, name.lower().encode()) for name in ("Content-Type", *HANDED_ON)}
    return {name: value for name, value in given.items() if value}


def _as_answer(
    deployment: Deployment, exchange: Exchange, got: tuple[int, Mapping[str, str], bytes]
) -> Answer:
    status, headers, said = got
    if len(said) > exchange.terms.payload_bytes:
        text = f"The model server's answer exceeds the limit: {exchange.terms.payload_bytes} bytes."
        raise GoogleError("FAILED_PRECONDITION", text)
    if exchange.verb == "rawPredict":
        back = tuple((name.lower(), headers[name]) for name in HANDED_BACK if name in headers)
        kind = headers.get("Content-Type", "")
        return Answer(status, said, (*payloads.raw_headers(deployment, kind), *back))
    return Answer(200, payloads.prediction(status, said, deployment, exchange.terms.shared), JSON_TYPE)
