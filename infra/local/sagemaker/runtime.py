"""The data plane: InvokeEndpoint and its sisters, carried from a caller to a container."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from infra.local.asgi import CallerLeft, Receive, Scope, Send, body_within, send_answer, while_there
from infra.local.cloud import Cloud
from infra.local.cloudwatch import CloudWatch
from infra.local.errors import Answer, AwsError, as_rest_json
from infra.local.sagemaker import eventstream, invocations
from infra.local.sagemaker.asynchronous import Backlogs
from infra.local.sagemaker.calls import Calls
from infra.local.sagemaker.capturing import Captured, Captures, Message
from infra.local.sagemaker.fleets import Place
from infra.local.sagemaker.invocations import PREFIX, Invocation
from infra.local.sagemaker.states import Endpoint, Endpoints

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger(__name__)


class BodyTooLarge(Exception):
    """The request's body is over the limit."""


@dataclass(frozen=True)
class Asked:
    """A request that is to be answered whole, and the endpoint as it was then."""

    endpoint: Endpoint
    invocation: Invocation
    send: Send


class DataPlane:
    """What answers on /endpoints/{name}/invocations and beside it, on the event loop."""

    def __init__(self, cloud: Cloud, endpoints: Endpoints, cloudwatch: CloudWatch) -> None:
        self._cloud = cloud
        self._calls = Calls(endpoints, cloudwatch)
        self._captures = Captures(cloud)
        self._backlogs = Backlogs(cloud, self._calls, cloudwatch)

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one invocation, whatever happens."""
        try:
            limit = self._cloud.settings.payload_bytes
            body = await body_within(receive, limit)
            if body is None:
                raise BodyTooLarge(f"HTTP content length exceeded {limit} bytes.")
            invocation = invocations.invocation_of(scope, self._cloud.caller_of(scope), body)
            if invocation.is_queued:
                await send_answer(send, self._backlogs.accept(scope, invocation))
            elif invocation.streamed:
                # Whoever leaves a stream midway gives its place in the container back.
                await while_there(receive, self._answer(invocation, send))
            else:
                await self._answer(invocation, send)
        except BodyTooLarge as large:
            # Plain text: the limit sits in front of the service. boto3 makes the code "413" of it.
            await send_answer(send, Answer(413, str(large).encode(), (("content-type", "text/plain"),)))
        except AwsError as error:
            await send_answer(send, as_rest_json(error))
        except CallerLeft:
            _log.info("left before the end: %s", scope["path"])

    async def close(self) -> None:
        """Closes the connections to the containers, and puts what was captured."""
        await self._backlogs.close()
        await self._calls.close()
        self._captures.close()

    async def _answer(self, invocation: Invocation, send: Send) -> None:
        endpoint, settings = self._calls.serving(invocation), self._cloud.settings
        if endpoint.options.queueing:
            raise invocations.asynchronous_only(endpoint.name)
        if endpoint.is_serverless and len(invocation.body) > settings.serverless_payload_bytes:
            raise BodyTooLarge(f"HTTP content length exceeded {settings.serverless_payload_bytes} bytes.")
        if invocation.streamed:
            stream = partial(_stream_back, invocation, send)
            return await self._calls.carry(invocation, settings.stream_timeout_s, stream)
        whole = partial(self._pass_back, Asked(endpoint, invocation, send))
        return await self._calls.carry(invocation, settings.invocation_timeout_s, whole)

    async def _pass_back(self, asked: Asked, place: Place, answer: aiohttp.ClientResponse) -> None:
        invocation, body = asked.invocation, await answer.read()
        limit = self._cloud.settings.serverless_payload_bytes
        if place.group.pool and len(body) > limit:
            raise invocations.answer_too_large(invocation, limit)
        variant = place.group.variant.name
        if capture := asked.endpoint.options.capture:
            captured = Captured(
                variant=variant,
                asked=Message(invocation.body, invocation.headers.get("Content-Type", "")),
                answered=Message(body, answer.headers.get("Content-Type", "")),
                inference_id=invocation.headers.get(f"{PREFIX}Inference-Id", ""),
            )
            self._captures.take(capture, place.container.spec.caller, invocation.endpoint, captured)
        headers = invocations.answer_headers(variant, answer.headers, streamed=False)
        await send_answer(asked.send, Answer(200, body, tuple(headers)))


async def _stream_back(
    invocation: Invocation, send: Send, place: Place, answer: aiohttp.ClientResponse
) -> None:
    import aiohttp

    headers = invocations.answer_headers(place.group.variant.name, answer.headers, streamed=True)
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
        _log.exception("a stream of %s broke off here", invocation.endpoint)
        last = eventstream.internal_failure("The stream processing failed. Try your request again.")
    await send({"type": "http.response.body", "body": last})
