"""The data plane: InvokeEndpoint and its streaming sister, carried from a caller to a container."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from infra.local.asgi import CallerLeft, Receive, Scope, Send, body_within, send_answer, while_there
from infra.local.cloud import Cloud
from infra.local.errors import Answer, AwsError, as_rest_json
from infra.local.sagemaker import eventstream, fleets, invocations
from infra.local.sagemaker.containers import Container
from infra.local.sagemaker.invocations import Invocation
from infra.local.sagemaker.states import Endpoints, Key

if TYPE_CHECKING:
    import aiohttp

# Under uvicorn's 5 s, so that no connection is used in the moment in which the container closes it.
KEEP_ALIVE_S = 3.0
# A body over the limit is still read, so that the answer reaches the caller; not without end.

_log = logging.getLogger(__name__)


class BodyTooLarge(Exception):
    """The request's body is over the limit."""


class DataPlane:
    """What answers on /endpoints/{name}/invocations, on the event loop."""

    def __init__(self, cloud: Cloud, endpoints: Endpoints) -> None:
        self._cloud, self._endpoints = cloud, endpoints
        self._session: aiohttp.ClientSession | None = None

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one invocation, whatever happens."""
        try:
            limit = self._cloud.settings.payload_bytes
            body = await body_within(receive, limit)
            if body is None:
                raise BodyTooLarge(f"HTTP content length exceeded {limit} bytes.")
            invocation = invocations.invocation_of(scope, self._cloud.caller_of(scope))
            answering = self._answer(invocation, body, send)
            if invocation.streamed:
                # Whoever leaves a stream midway gives its place in the container back.
                await while_there(receive, answering)
            else:
                await answering
        except BodyTooLarge as large:
            # Plain text: the limit sits in front of the service. boto3 makes the code "413" of it.
            await send_answer(send, Answer(413, str(large).encode(), (("content-type", "text/plain"),)))
        except AwsError as error:
            await send_answer(send, as_rest_json(error))
        except CallerLeft:
            _log.info("left before the end: %s", scope["path"])

    async def close(self) -> None:
        """Closes the connections to the containers."""
        if self._session:
            await self._session.close()

    async def _answer(self, invocation: Invocation, body: bytes, send: Send) -> None:
        while True:
            container = self._enter(invocation)
            try:
                return await self._exchange(container, invocation, body, send)
            except ConnectionRefusedError:
                # Nothing was sent: another container may take it, until none is left that answers.
                container.healthy = False
            finally:
                container.leave()

    def _enter(self, invocation: Invocation) -> Container:
        """A container with a place taken in it, to be given back with `leave`."""
        key = Key.of(invocation.caller, invocation.endpoint)
        while True:
            endpoint = self._endpoints.find(key)
            if endpoint is None or not endpoint.serves:
                raise invocations.not_found(invocation.caller, invocation.endpoint)
            if invocation.target and invocation.target not in endpoint.fleet:
                text = f"Variant {invocation.target} not found for endpoint {invocation.endpoint}."
                raise invocations.validation_error(text)
            container = fleets.choose(endpoint.fleet, invocation.target)
            if container is None:
                raise invocations.unavailable()
            if container.enter():
                return container
            # It retires: the endpoint points at another fleet by now.

    async def _exchange(self, container: Container, invocation: Invocation, body: bytes, send: Send) -> None:
        import aiohttp

        settings = self._cloud.settings
        seconds = settings.stream_timeout_s if invocation.streamed else settings.invocation_timeout_s
        request = self._http().post(
            f"http://127.0.0.1:{container.port}/invocations",
            data=body,
            headers=invocation.headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
            allow_redirects=False,
        )
        try:
            async with request as answer:
                if answer.status // 100 != 2:
                    said = (await answer.read()).decode("utf-8", "replace")
                    raise invocations.model_error(invocation, answer.status, said)
                await _pass_back(answer, container, invocation, send)
        except TimeoutError:
            raise invocations.model_error(invocation, 0, invocations.TIMED_OUT) from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectionRefusedError(str(error)) from error
        except aiohttp.ClientError as error:
            text = f"The connection to container primary broke before its answer was whole: {error}"
            raise invocations.model_error(invocation, 0, text) from error

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


async def _pass_back(
    answer: aiohttp.ClientResponse, container: Container, invocation: Invocation, send: Send
) -> None:
    headers = invocations.answer_headers(container.spec.owner.variant, answer.headers, invocation.streamed)
    if invocation.streamed:
        await _stream_back(answer, headers, send)
    else:
        await send_answer(send, Answer(200, await answer.read(), tuple(headers)))


async def _stream_back(answer: aiohttp.ClientResponse, headers: list[tuple[str, str]], send: Send) -> None:
    import aiohttp

    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    pairs.append((b"content-type", eventstream.CONTENT_TYPE.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    last = b""
    try:
        async for chunk in answer.content.iter_any():
            frame = eventstream.payload_part(chunk)
            await send({"type": "http.response.body", "body": frame, "more_body": True})
    except TimeoutError:
        last = eventstream.stream_error("ModelInvocationTimeExceeded", invocations.TIMED_OUT)
    except aiohttp.ClientError as error:
        last = eventstream.stream_error("StreamBroken", f"The connection to the model broke: {error}")
    except Exception:
        _log.exception("a stream broke off here")
        last = eventstream.internal_failure("The stream processing failed. Try your request again.")
    await send({"type": "http.response.body", "body": last})
