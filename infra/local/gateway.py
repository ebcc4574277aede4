"""The local cloud's one address: who may speak to it, and who answers.

A service that is made true answers for itself, everything else is answered by moto's records. What invokes a
model never touches moto.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import re
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, cast

from infra.local import account, errors, s3
from infra.local.asgi import CallerLeft, Receive, Scope, Send, chunks, header, send_answer
from infra.local.autoscaling import Autoscaling
from infra.local.cloud import DEFAULT_REGION, Caller, Service, credential_of
from infra.local.cloudformation import CloudFormation
from infra.local.errors import Answer, AwsError
from infra.local.iam.gate import Gate
from infra.local.imagebuilds import ecr
from infra.local.objects import CHUNK
from infra.local.project import Needs
from infra.local.quotas import Quotas
from infra.local.records import Question, Records, Reply, signature
from infra.local.schedules import Schedules
from infra.local.vertex import Google, claims
from infra.local.vertex.errors import GoogleError

log = logging.getLogger(__name__)

INVOCATIONS = re.compile(r"/endpoints/[^/]+/(invocations(-response-stream)?|async-invocations)")
# moto's own doors: they reset or show the whole account to whoever asks.
CLOSED = re.compile(r"/(moto-api|latest/(meta-data|api|dynamic|user-data))(/|$)|/favicon\.ico$")
SPOOL_BYTES = 4 * 1024 * 1024  # of a request's body in memory; more is a file
CONTROL_BYTES = 16 * 1024 * 1024  # more is no control-plane request
THREADS = 32


class Gateway:
    """The ASGI application on the local cloud's port."""

    def __init__(self, records: Records, sagemaker: Service, google: Google) -> None:
        self._records = records
        self._gate = Gate(records.authority)
        self._sagemaker = sagemaker
        self._google = google
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="operation")
        self._callers: set[Caller] = set()
        # Services other than SageMaker that answer for themselves, by their signing names.
        self._made_true: dict[str, Callable[..., Reply]] = {
            "application-autoscaling": Autoscaling(records, sagemaker.operations).answer,
            "cloudformation": CloudFormation(records).answer,
            "scheduler": Schedules(records, sagemaker.operations).answer,
            "pricing": _no_price_list,
            "servicequotas": Quotas(records.settings).answer,
        }
        self._questions: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("POST", "/_local/account"): lambda body: account.provision(records, google, Needs(**body)),
            ("POST", "/_local/google"): lambda body: google.service().ready(**body),
            ("GET", "/_local/status"): lambda body: self._status(),
            ("GET", "/_local/permissions"): lambda body: self._permissions(**body),
        }
        port = records.url.rpartition(":")[2]
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._bucket_host = re.compile(rf"(?P<bucket>[a-z0-9.-]+?)\.(s3\.)?localhost:{port}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            log.warning("refused %s %r: %s", scope["method"], scope["path"], refusal.message)
            await send_answer(send, errors.as_json(refusal))
        elif claims(scope):
            await self._google(scope, receive, send)
        else:
            try:
                await self._admit(self._path_style(scope), receive, send)
            except CallerLeft:
                log.info("left before the end: %s %r", scope["method"], scope["path"])

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers it unless IAM refuses; the local cloud's own questions are no cloud's."""
        if not scope["path"].startswith("/_local/"):
            admitted = await self._gate.admit(scope, self._records.caller_of(scope), receive, send)
            if admitted is None:
                return
            receive, send = admitted
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = header(scope, b"x-amz-target")
        if INVOCATIONS.fullmatch(scope["path"]):
            return await self._sagemaker.invoke(scope, receive, send)
        if scope["path"].startswith("/_local/"):
            answer = await self._own(scope, receive)
        elif operation.startswith("SageMaker."):
            answer = await self._control(scope, receive, operation.removeprefix("SageMaker."))
        else:
            return await self._pass_on(scope, receive, send)
        return await send_answer(send, answer)

    def _refusal(self, scope: Scope) -> AwsError | None:
        """Refuses web pages: those with a name of their own for 127.0.0.1, and those with a script."""
        host, origin = header(scope, b"host"), header(scope, b"origin")
        if host not in self._hosts and not self._bucket_host.fullmatch(host):
            here = self._records.url
            return AwsError(
                421, "MisdirectedRequest", f"Host {host!r} is not the local cloud's: it is {here}"
            )
        if origin and origin.removeprefix("http://") not in self._hosts:
            return AwsError(403, "AccessDenied", f"Origin {origin!r} may not use the local cloud")
        if header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
            return AwsError(403, "AccessDenied", "another site's page may not use the local cloud")
        if CLOSED.match(scope["path"]):
            return AwsError(404, "NotFound", f"{scope['path']} is not served here")
        return None

    def _path_style(self, scope: Scope) -> Scope:
        """http://BUCKET.localhost:PORT/KEY as /BUCKET/KEY, which is the one form in which moto is asked."""
        host = self._bucket_host.fullmatch(header(scope, b"host"))
        if host is None or host["bucket"] == "s3":
            return scope
        raw_path = f"/{host['bucket']}".encode() + scope["raw_path"]
        return {**scope, "raw_path": raw_path, "path": f"/{host['bucket']}{scope['path']}"}

    async def _own(self, scope: Scope, receive: Receive) -> Answer:
        """The local cloud's own questions, which are no cloud's."""
        if scope["path"].startswith(ecr.BLOBS):
            return ecr.blob(scope["path"])
        try:
            body = await _json(receive)
            own = self._questions.get((scope["method"], scope["path"]))
            if own is not None:
                return _ok(await self._in_thread(own, body))
        except (TypeError, ValueError) as error:
            return errors.as_json(AwsError(400, "ValidationException", str(error)))
        except GoogleError as error:
            return errors.as_json(AwsError(error.http_status, error.status, error.message))
        except AwsError as error:
            return errors.as_json(error)
        return errors.as_json(AwsError(404, "NotFound", f"{scope['path']} is not served here"))

    def _permissions(self, account: str = "", region: str = DEFAULT_REGION) -> dict[str, Any]:
        """What was asked of IAM, and what the roles of the account may do: see `iam.report`."""
        return self._records.authority.told(Caller(account or self._records.settings.account_id, region))

    def _status(self) -> dict[str, Any]:
        """What runs containers here, and every endpoint of whoever has been here.

        {"containers": "process", "endpoints": [{name, status, region, account}, …]}
        """
        found = []
        for caller in sorted(self._callers, key=lambda caller: (caller.account, caller.region)):
            for endpoint in self._do(caller, "ListEndpoints", {"MaxResults": 100})["Endpoints"]:
                name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
                found.append(
                    {"name": name, "status": status, "region": caller.region, "account": caller.account}
                )
        containers = self._records.settings.containers
        return {"containers": containers, "endpoints": found + self._google.endpoints()}

    async def _control(self, scope: Scope, receive: Receive, operation: str) -> Answer:
        caller = self._records.caller_of(scope)
        self._callers.add(replace(caller, access_key=""))
        try:
            payload = await _json(receive)
            done = await self._in_thread(self._do, caller, operation, payload)
        except AwsError as error:
            log.info("%s: %d %s: %s", operation, error.status, error.code, error.message)
            return errors.as_json(error)
        log.info("%s: 200", operation)
        return _ok(done)

    def _do(self, caller: Caller, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            own = self._sagemaker.operations.get(operation)
            return own(caller, payload) if own else self._records.moto(caller, operation, payload)
        except AwsError:
            raise
        except Exception as error:
            log.exception("%s failed", operation)
            raise AwsError(500, "InternalFailure", f"{type(error).__name__}: {error}") from error

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = self._records.caller_of(scope)
        credential = credential_of(signature(scope))
        service = credential.service if credential else "s3"
        try:
            limit = math.inf if service == "s3" else CONTROL_BYTES
            with await _spool(receive, limit) as body:
                if service == "s3" and await self._large_object(scope, caller, send):
                    return
                ask = self._made_true.get(service) or partial(self._records.ask, service=service)
                reply = await self._in_thread(ask, caller, question=_question(scope, body))
        except OSError as error:  # a full disk, mostly
            log.error("%s %r: %s", scope["method"], scope["path"], error)
            failure = AwsError(500, "InternalError", f"the local cloud cannot keep the body: {error}")
            await send_answer(send, errors.as_rest_xml(failure))
        except AwsError as error:
            log.info("%s %r: %d %s", scope["method"], scope["path"], error.status, error.code)
            await send_answer(send, (errors.as_rest_xml if service == "s3" else errors.as_json)(error))
        else:
            await _send_reply(send, reply)

    async def _large_object(self, scope: Scope, caller: Caller, send: Send) -> bool:
        """Checks whose bucket it is; sends the object and answers True if it is one for streaming."""
        target = s3.target_of(scope["raw_path"].decode("latin-1"))
        s3.check_owners(scope, target)
        if not s3.is_large_read(scope, caller, target):
            return False
        question = _question({**scope, "method": "HEAD"}, io.BytesIO())
        head = await self._in_thread(self._records.ask, caller, "s3", question)
        if head.status not in (200, 206):  # moto's GET says why in the body
            return False
        body = await self._in_thread(self._records.open_object, caller, target.bucket, target.key)
        await s3.send_object(send, head, body)
        return True

    async def _in_thread(self, do: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(do, *args, **named))


def _no_price_list(caller: Caller, question: Question) -> Reply:
    """Nothing costs anything here, and a made-up price would be believed."""
    raise AwsError(400, "UnknownOperationException", "The local cloud has no price list")


def _ok(body: dict[str, Any]) -> Answer:
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amzn-requestid", str(uuid.uuid4())))
    return Answer(200, json.dumps(body, default=_as_timestamp).encode(), headers)


def _as_timestamp(value: object) -> float:
    """The JSON protocol's form of a time: seconds since 1970."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} is not for JSON")


async def _json(receive: Receive) -> dict[str, Any]:
    """The body as a JSON object; raises AwsError SerializationException for anything else."""
    body = b""
    async for chunk in chunks(receive):
        body += chunk
        _check_size(len(body), CONTROL_BYTES)
    try:
        payload = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError(400, "SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise AwsError(400, "SerializationException", "the body is not a JSON object")
    return payload


async def _spool(receive: Receive, limit: float) -> BinaryIO:
    """The body as a file from its start, on disk where it is large."""
    body = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        async for chunk in chunks(receive):
            body.write(chunk)
            _check_size(body.tell(), limit)
    except BaseException:
        body.close()
        raise
    return cast(BinaryIO, body)


def _check_size(size: int, limit: float) -> None:
    if size > limit:
        raise AwsError(413, "RequestEntityTooLarge", f"the body is larger than {limit:.0f} bytes")


def _question(scope: Scope, body: BinaryIO) -> Question:
    length = body.tell()
    body.seek(0)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return Question(scope["method"], path, headers, query, body, length)


async def _send_reply(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for chunk in reply.body:
        for at in range(0, len(chunk), CHUNK):  # in pieces, so that a slow reader holds us back
            await send({"type": "http.response.body", "body": chunk[at : at + CHUNK], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
