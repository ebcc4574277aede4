"""Asynchronous endpoints: requests wait in a queue, answers go to S3, and SNS tells of them.

Source: developer guide, async-inference*; API_runtime_InvokeEndpointAsync. Not verified: what stands in a
failure's object (here what the container said), and FailureLocation without an S3FailurePath (here none).
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import logging
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.local.asgi import Scope, header
from infra.local.cloud import Caller, Cloud
from infra.local.cloudwatch import CloudWatch
from infra.local.errors import Answer, AwsError
from infra.local.sagemaker import invocations, notices
from infra.local.sagemaker.calls import Calls
from infra.local.sagemaker.fleets import Place
from infra.local.sagemaker.invocations import PREFIX, Invocation
from infra.local.sagemaker.notices import Outcome
from infra.local.sagemaker.options import Queueing
from infra.local.sagemaker.states import Endpoint, Key

if TYPE_CHECKING:
    import aiohttp

TICK_S = 0.1  # between looks at what waits for an instance, or too long
TTL_S, TTL_BOUNDS = 21600, (60, 21600)
TIMEOUT_S, TIMEOUT_BOUNDS = 900, (1, 3600)
INLINE_BYTES = 128_000
TOLD_BYTES = 128 * 1024  # of an answer that a notification carries
EXPIRED = "The request was in the queue for longer than its RequestTTLSeconds of {ttl}."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One request in the queue. Places are s3:// URIs; `failure` is "" where none is wanted."""

    invocation: Invocation
    inference_id: str
    source: str  # "" with the body in the request itself
    output: str
    failure: str
    ttl_s: int
    timeout_s: int
    received: datetime
    since: float  # monotonic


@dataclass(frozen=True)
class Answered:
    """What the container said, and in which form."""

    body: bytes
    content_type: str


class Backlogs:
    """The queues of all asynchronous endpoints, on the event loop."""

    def __init__(self, cloud: Cloud, calls: Calls, cloudwatch: CloudWatch) -> None:
        self._cloud, self._calls, self._cloudwatch = cloud, calls, cloudwatch
        self._waiting: dict[Key, deque[Request]] = defaultdict(deque)
        self._running: dict[Key, int] = defaultdict(int)
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, scope: Scope, invocation: Invocation) -> Answer:
        """Queues the request and says where its answer will be. Raises AwsError."""
        endpoint = self._calls.serving(invocation)
        queueing = endpoint.options.queueing
        if queueing is None:
            raise invocations.not_asynchronous(endpoint.name)
        request = request_of(scope, invocation, queueing)
        key = Key.of(invocation.caller, endpoint.name)
        self._waiting[key].append(request)
        if not self._tasks:
            self._begin(self._tick())
        self._pump(key, endpoint)
        return _accepted(request)

    async def close(self) -> None:
        """Drops what waits and stops what runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for key in list(self._waiting):
                try:
                    self._look_at(key)
                except Exception:
                    _log.exception("the queue of %s", key.name)

    def _look_at(self, key: Key) -> None:
        endpoint = self._calls.find(key)
        if endpoint is None:
            del self._waiting[key]
            return
        self._pump(key, endpoint)
        self._measure(key, endpoint)

    def _pump(self, key: Key, endpoint: Endpoint) -> None:
        """Starts what there is room for; what waited too long fails."""
        waiting, queueing = self._waiting[key], endpoint.options.queueing
        scale = self._cloud.settings.time_scale
        for request in [one for one in waiting if time.monotonic() - one.since > one.ttl_s * scale]:
            waiting.remove(request)
            self._begin(self._fail(endpoint, request, EXPIRED.format(ttl=request.ttl_s)))
        room = instances_of(endpoint) * (queueing.concurrent if queueing else 1)
        while waiting and self._running[key] < room:
            self._running[key] += 1
            self._begin(self._process(key, endpoint, waiting.popleft()))

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, key: Key, endpoint: Endpoint, request: Request) -> None:
        try:
            body = await self._body(endpoint, request)
            invocation = dataclasses.replace(request.invocation, body=body)
            answered = await self._calls.carry(invocation, request.timeout_s, _read)
            await asyncio.to_thread(self._put, endpoint, request.output, answered.body)
            await self._tell(endpoint, request, answered, "")
        except AwsError as error:
            said = str(error.fields.get("OriginalMessage") or error.message)
            await self._fail(endpoint, request, error.message, said)
        except Exception as error:
            _log.exception("asynchronous request %s", request.inference_id)
            await self._fail(endpoint, request, f"{type(error).__name__}: {error}")
        finally:
            self._running[key] -= 1
            if now := self._calls.find(key):
                self._pump(key, now)

    async def _body(self, endpoint: Endpoint, request: Request) -> bytes:
        if not request.source:
            return request.invocation.body
        limit = self._cloud.settings.async_payload_bytes
        body = await asyncio.to_thread(self._get, endpoint, request.source, limit)
        if len(body) > limit:
            raise invocations.validation_error(f"{request.source} has more than {limit} bytes.")
        return body

    async def _fail(self, endpoint: Endpoint, request: Request, reason: str, said: str = "") -> None:
        answered = Answered((said or reason).encode(), "text/plain")
        if request.failure:
            try:
                await asyncio.to_thread(self._put, endpoint, request.failure, answered.body)
            except AwsError as error:
                _log.warning("%s: %s", request.failure, error)
        await self._tell(endpoint, request, answered, reason)

    async def _tell(self, endpoint: Endpoint, request: Request, answered: Answered, failure: str) -> None:
        queueing = endpoint.options.queueing or Queueing("")
        topic = queueing.error_topic if failure else queueing.success_topic
        if not topic:
            return
        name = "ERROR_NOTIFICATION_TOPIC" if failure else "SUCCESS_NOTIFICATION_TOPIC"
        is_told = name in queueing.tells_answer_of and len(answered.body) <= TOLD_BYTES
        outcome = Outcome(
            endpoint=endpoint.name,
            inference_id=request.inference_id,
            input_location=request.source,
            accept=request.invocation.headers.get("Accept", ""),
            received=request.received,
            output_location=request.output,
            content_type=answered.content_type,
            failure=failure,
            response=_told(answered) if is_told else None,
        )
        await asyncio.to_thread(self._publish, caller_of(endpoint), topic, outcome)

    def _publish(self, role: Caller, topic: str, outcome: Outcome) -> None:
        try:
            self._cloud.check_topic(role, topic)
        except AwsError as error:
            _log.warning("%s is not told of %s: %s", topic, outcome.inference_id, error)
        else:
            notices.publish(role, topic, outcome)

    def _get(self, endpoint: Endpoint, uri: str, limit: int) -> bytes:
        with self._cloud.open_object(caller_of(endpoint), *split(uri)) as stream:
            return stream.read(limit + 1)

    def _put(self, endpoint: Endpoint, uri: str, body: bytes) -> None:
        self._cloud.put_object(caller_of(endpoint), *split(uri), io.BytesIO(body))

    def _measure(self, key: Key, endpoint: Endpoint) -> None:
        """The metrics that autoscaling looks at. Source: developer guide, async-inference-monitor."""
        count, instances = len(self._waiting[key]) + self._running[key], instances_of(endpoint)
        values = {
            ("ApproximateBacklogSize", "Count"): float(count),
            ("ApproximateBacklogSizePerInstance", "Count"): count / max(instances, 1),
            ("HasBacklogWithoutCapacity", "Count"): float(count > 0 and not instances),
        }
        self._cloudwatch.publish(endpoint.caller, (("EndpointName", endpoint.name),), values)


def request_of(scope: Scope, invocation: Invocation, queueing: Queueing) -> Request:
    """What is asked for; raises AwsError ValidationError where it breaks the API's limits."""
    source = _given(scope, "InputLocation")
    if bool(source) == bool(invocation.body):
        raise invocations.validation_error("Exactly one of InputLocation and Body must be given.")
    if len(invocation.body) > INLINE_BYTES:
        raise invocations.validation_error(f"Body has {len(invocation.body)} bytes, at most {INLINE_BYTES}.")
    if source and not source.startswith("s3://"):
        raise invocations.validation_error(f"InputLocation {source!r} is no s3:// URI.")
    inference_id = invocation.headers.get(f"{PREFIX}Inference-Id") or str(uuid.uuid4())
    name = _given(scope, "Filename") or f"{uuid.uuid4()}.out"
    extension = _given(scope, "S3OutputPathExtension").strip("/")
    folder = f"{queueing.output}/{extension}" if extension else queueing.output
    failed = f"{queueing.failure}/{name.removesuffix('.out')}-error.out" if queueing.failure else ""
    return Request(
        invocation=invocation,
        inference_id=inference_id,
        source=source,
        output=f"{folder}/{name}",
        failure=failed,
        ttl_s=_number(scope, "RequestTTLSeconds", TTL_S, TTL_BOUNDS),
        timeout_s=_number(scope, "InvocationTimeoutSeconds", TIMEOUT_S, TIMEOUT_BOUNDS),
        received=datetime.now(UTC),
        since=time.monotonic(),
    )


def instances_of(endpoint: Endpoint) -> int:
    """The instances that take requests."""
    pending = endpoint.pending.fleet if endpoint.pending else {}
    groups = [*endpoint.fleet.values(), *pending.values()]
    return sum(container.healthy for group in groups for container in group.containers)


def caller_of(endpoint: Endpoint) -> Caller:
    """Who reads and writes for the endpoint: the execution role of its model."""
    (group,) = list(endpoint.fleet.values())[:1]
    return group.variant.container.caller


def split(uri: str) -> tuple[str, str]:
    """The bucket and the key of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


async def _read(_: Place, answer: aiohttp.ClientResponse) -> Answered:
    return Answered(await answer.read(), answer.headers.get("Content-Type", ""))


def _accepted(request: Request) -> Answer:
    headers = [("content-type", "application/json"), (f"{PREFIX}OutputLocation", request.output)]
    if request.failure:
        headers.append((f"{PREFIX}FailureLocation", request.failure))
    return Answer(202, json.dumps({"InferenceId": request.inference_id}).encode(), tuple(headers))


def _told(answered: Answered) -> dict[str, Any]:
    return {"content": answered.body.decode("utf-8", "replace"), "encoding": "UTF-8"}


def _given(scope: Scope, member: str) -> str:
    return header(scope, f"{PREFIX}{member}".lower().encode())


def _number(scope: Scope, member: str, default: int, bounds: tuple[int, int]) -> int:
    text, (least, most) = _given(scope, member), bounds
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise invocations.validation_error(f"{member} is {text!r}, expected {least} to {most}.")
    return int(text)
