"""Where a request that its caller may not make is stopped, before any service sees it."""

from __future__ import annotations

import logging
import urllib.parse
from dataclasses import replace

from infra.local import asgi
from infra.local.asgi import Message, Receive, Scope, Send, body_within, header
from infra.local.cloud import Caller, credential_of
from infra.local.errors import Answer, AwsError
from infra.local.iam import authority, calls, demands, principals, refusals
from infra.local.iam.authority import Authority
from infra.local.iam.calls import Asked
from infra.local.iam.demands import s3
from infra.local.iam.policies import Demand
from infra.local.iam.principals import Principal
from infra.local.records import TARGETS, signature

BODY_BYTES = 16 * 1024 * 1024  # more is no request but S3's or an invocation, whose bodies are not read here
log = logging.getLogger(__name__)

# What gives credentials that moto knows nobody behind, and that would so be the administrator's.
_NAMELESS = frozenset({"GetSessionToken", "GetFederationToken"})


class Gate:
    """Asks the authority about every request of AWS's."""

    def __init__(self, found: Authority) -> None:
        self._authority = found

    async def admit(
        self, scope: Scope, caller: Caller, receive: Receive, send: Send
    ) -> tuple[Receive, Send] | None:
        """How to go on with the request; None where it was refused and answered."""
        asked = _asked(scope)
        try:
            if _is_held(asked, scope):
                body = await _body(receive)
                asked, receive = replace(asked, body=body), _again(body, receive)
            hidden_from = self._require(asked, caller, _token(scope))
        except AwsError as error:
            log.info("%s %r: %s", asked.method, asked.path, error.message)
            await _refuse(asked, receive, send, refusals.answer(asked, error))
            return None
        return receive, self._hiding(asked, caller, hidden_from, send) if hidden_from else send

    def _require(self, asked: Asked, caller: Caller, token: str) -> Principal | None:
        """Raises AwsError if it may not; the principal, where an absent object is to be hidden from it."""
        principal = principals.of_caller(caller, token)
        if asked.service == "s3":
            self._authority.require(caller, principal, s3.of_request(asked, _partition(caller)))
            return principal if _reads_object(asked) and not principal.is_administrator else None
        call = calls.call_of(asked, caller.account, caller.region)
        if (call.service, call.operation) == ("sts", "AssumeRole"):
            self._authority.require_assuming(caller, principal, call)
        elif call.service == "sts" and call.operation in _NAMELESS and not principal.is_administrator:
            text = f"The local cloud cannot do this: {call.operation}'s credentials would have all rights"
            raise AwsError(400, "UnknownOperationException", text)
        else:
            self._authority.require(caller, principal, demands.of_call(call))
        return None

    def _hiding(self, asked: Asked, caller: Caller, principal: Principal, send: Send) -> Send:
        """S3 answers 403 for an object that is not there to whoever may not list the bucket.

        Source: API_GetObject and API_HeadObject, permissions.
        """
        hidden = False

        async def sending(message: Message) -> None:
            nonlocal hidden
            if hidden:
                return None
            if message["type"] == "http.response.start" and message["status"] == 404:
                refused = self._not_listed(asked, caller, principal)
                if refused is not None:
                    hidden = True
                    return await asgi.send_answer(send, refusals.answer(asked, refused))
            return await send(message)

        return sending

    def _not_listed(self, asked: Asked, caller: Caller, principal: Principal) -> AwsError | None:
        bucket = s3.bucket_and_key(asked.path)[0]
        listing = Demand("s3:ListBucket", f"arn:{_partition(caller)}:s3:::{bucket}")
        decision = self._authority.decide(caller, principal, listing)
        return None if decision.allowed else authority.refusal(principal, listing, decision)


def _asked(scope: Scope) -> Asked:
    """The request as it matters here, without its body."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    credential = credential_of(signature(scope))
    target = headers.get("x-amz-target", "")
    return Asked(
        service=credential.service if credential else TARGETS.get(target.partition(".")[0], "s3"),
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
    )


def _is_held(asked: Asked, scope: Scope) -> bool:
    """Whether the body says what is asked for; an object's and an invocation's say nothing of it."""
    if asked.service == "s3":
        return s3.reads_body(asked)
    return not calls.INVOCATIONS.fullmatch(scope["path"])


async def _refuse(asked: Asked, receive: Receive, send: Send, answer: Answer) -> None:
    """Answers a request whose body may be on its way still, or waits for a word that it may come.

    The connection ends with the answer: what is left of the body would be read as the next request.
    """
    if asked.headers.get("expect", "").lower() != "100-continue" and not asked.body:
        await body_within(receive, BODY_BYTES)
    await asgi.send_answer(send, replace(answer, headers=(*answer.headers, ("connection", "close"))))


async def _body(receive: Receive) -> bytes:
    body = await body_within(receive, BODY_BYTES)
    if body is None:
        raise AwsError(413, "RequestEntityTooLarge", f"the body is larger than {BODY_BYTES} bytes")
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more; then what follows it, which is that the caller leaves."""
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return held.pop() if held else await receive()

    return received


def _token(scope: Scope) -> str:
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    found = query.get("X-Amz-Security-Token", query.get("x-amz-security-token", [""]))[0]
    return found or header(scope, b"x-amz-security-token")


def _reads_object(asked: Asked) -> bool:
    return asked.method in ("GET", "HEAD") and bool(s3.bucket_and_key(asked.path)[1])


def _partition(caller: Caller) -> str:
    return "aws-cn" if caller.region.startswith("cn-") else "aws"
