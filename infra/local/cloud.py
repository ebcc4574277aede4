"""What the parts of the local cloud share: who calls, the account's records, and the shape of a service."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol

from infra.local.asgi import Receive, Scope, Send
from infra.local.settings import Settings

DEFAULT_REGION = "us-east-1"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True)
class Caller:
    """Who asks, and where: from the signature's credential scope, which is not verified."""

    account: str
    region: str
    access_key: str = "local"
    role: str = ""  # the ARN of the execution role in whose name a service asks

    def assuming(self, role: str) -> Caller:
        """The same account and region, where whatever is asked must be allowed to that role."""
        return replace(self, role=role)


@dataclass(frozen=True)
class Credential:
    """What a SigV4 signature says of itself: `service` is the signing name (`s3`, `sagemaker`)."""

    access_key: str
    region: str
    service: str


def credential_of(authorization: str) -> Credential | None:
    """The credential scope in an Authorization header."""
    match = _CREDENTIAL.search(authorization)
    return Credential(*match.groups()) if match else None


class Cloud(Protocol):
    """The account as a service sees it.

    A caller that assumes a role may do what the role may; AwsError AccessDenied is raised for all else.
    Every method may be called from any thread, and blocks: in a coroutine call it with `asyncio.to_thread`.
    """

    settings: Settings
    url: str  # http://127.0.0.1:PORT

    def caller_of(self, scope: Scope) -> Caller:
        """Who sent this HTTP request. Unsigned requests are the local account's, in us-east-1."""
        ...

    def moto(self, caller: Caller, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """One operation of a JSON protocol, answered by moto's records alone, without HTTP.

        `operation` is SageMaker's (`DescribeModel`), or any JSON service's whole target
        (`Logs_20140328.PutLogEvents`). Raises AwsError for the service's refusals. Empty values, which moto
        puts where AWS leaves a key out, are not in the answer.
        """
        ...

    def open_object(self, caller: Caller, bucket: str, key: str) -> BinaryIO:
        """The object's bytes, seekable, never whole in memory; the caller closes it.

        Stays readable though the object is overwritten or deleted meanwhile.
        Raises AwsError NoSuchBucket, NoSuchKey, or AccessDenied (403) for another account's bucket.
        """
        ...

    def list_keys(self, caller: Caller, bucket: str, prefix: str) -> list[str]:
        """Every key that begins with the prefix, in S3's order (by its bytes in UTF-8).

        Raises AwsError NoSuchBucket, or AccessDenied (403) for another account's bucket.
        """
        ...

    def put_object(self, caller: Caller, bucket: str, key: str, body: BinaryIO) -> None:
        """Makes the object of all that `body` has from here on; it is there whole or not at all.

        Never whole in memory; the caller closes `body`. Raises AwsError as `list_keys` does.
        """
        ...

    def delete_object(self, caller: Caller, bucket: str, key: str) -> None:
        """Deletes the object, if there is one. Raises AwsError as `list_keys` does."""
        ...

    def check_image(self, caller: Caller, image: str) -> None:
        """Raises AwsError AccessDenied if the role that the caller assumes may not pull the image."""
        ...

    def check_alarm(self, caller: Caller, name: str) -> None:
        """Raises AwsError AccessDenied if the role that the caller assumes may not look at the alarm."""
        ...

    def check_topic(self, caller: Caller, topic: str) -> None:
        """The same of publishing to the topic, which is an ARN."""
        ...

    def check_push(self, caller: Caller, image: str) -> None:
        """The same of pushing it."""
        ...

    def role_trusts(self, caller: Caller, role_arn: str, service: str, source: str = "") -> bool:
        """Whether the role is there and lets that service (`sagemaker.amazonaws.com`) assume it.

        `source` is the ARN of what the service would do it for.
        """
        ...


Operation = Callable[[Caller, dict[str, Any]], dict[str, Any]]


class Service(Protocol):
    """A service that is made true here: what it does not do itself, moto's records answer.

    `infra.local.sagemaker.SageMaker(cloud)` is one.
    """

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Control-plane operations by name (`CreateEndpoint`).

        Called in a worker thread with the caller and the request's JSON, they return the answer's JSON or
        raise AwsError. Several run at once.
        """
        ...

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The data plane, raw ASGI on the event loop: /endpoints/{name}/invocations, async-invocations and
        invocations-response-stream, POST. Answers its own errors.
        """
        ...

    async def close(self) -> None:
        """Stops every container and waits until they are gone; called once, at the end, on the event loop."""
        ...
