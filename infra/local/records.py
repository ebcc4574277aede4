"""The account's records: moto, in this process, called as the WSGI application that it is.

Nothing here is made true; that is for the services (`infra.local.sagemaker`), which ask these records.
"""

from __future__ import annotations

import io
import json
import logging
import threading
import urllib.parse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.utilities.utils import get_partition

from infra.local import objects
from infra.local.asgi import Scope, header
from infra.local.cloud import DEFAULT_REGION, Caller, Credential, credential_of
from infra.local.errors import AwsError
from infra.local.iam import buckets, demands, permits
from infra.local.iam.authority import Authority
from infra.local.iam.calls import Call
from infra.local.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)
TARGETS = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}  # target prefix -> signing name


@dataclass(frozen=True)
class Question:
    """An HTTP request to moto: `path` is as it arrived, percent-encoded."""

    method: str
    path: str
    headers: Iterable[tuple[str, str]]
    query: str = ""
    body: BinaryIO = field(default_factory=io.BytesIO)
    length: int = 0


@dataclass(frozen=True)
class NewRole:
    """An IAM role to be made: who may assume it, and what it may do, as policies."""

    name: str
    path: str
    trust: dict[str, Any]
    rights: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """moto's HTTP answer; `body` is to be read once."""

    status: int
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


class Records:
    """The account. Its methods are those of `infra.local.cloud.Cloud`, which see."""

    def __init__(self, settings: Settings, port: int) -> None:
        objects.keep_in_files(settings.home / "objects")
        buckets.judge_policies_here()
        self.settings = settings
        self.url = f"http://127.0.0.1:{port}"
        self._host = f"127.0.0.1:{port}"
        self._moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
        # moto looks and then writes without a lock, so that two conditional puts both succeed: one at a time.
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self.authority = Authority(self._tags_of)
        # What `account.provision` made, for a stack to take over: CloudFormation's kind, and account/name.
        self.provisioned: set[tuple[str, str]] = set()

    def caller_of(self, scope: Scope) -> Caller:
        """See `Cloud.caller_of`."""
        credential = credential_of(signature(scope))
        if credential is None:
            return Caller(self.settings.account_id, DEFAULT_REGION)
        return Caller(self._account_of(credential.access_key), credential.region, credential.access_key)

    def ask(self, caller: Caller, service: str, question: Question) -> Reply:
        """Puts an HTTP request to moto in the caller's account; the reply's headers are lower-case.

        Raises AwsError for what moto does not do.
        """
        got: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            got.extend((status, headers))

        environ = self._environ(caller, question)
        try:
            with self._turns[service]:
                body = self._moto(environ, start_response)
        except NotImplementedError as error:
            raise AwsError(
                400, "UnknownOperationException", f"The local cloud cannot do this: {error}"
            ) from error
        except Exception as error:
            log.exception("moto failed at %s %r", question.method, question.path)
            raise AwsError(500, "InternalFailure", f"{type(error).__name__}: {error}") from error
        headers = [(name.lower(), value) for name, value in got[1]]
        return Reply(int(got[0].split()[0]), headers, _closing(body))

    def moto(self, caller: Caller, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Cloud.moto`."""
        target = operation if "." in operation else f"SageMaker.{operation}"
        service = TARGETS[target.partition(".")[0]]
        if caller.role:
            call = Call(service, target.rpartition(".")[2], payload, caller.account, caller.region)
            self.authority.require_of_role(caller, *demands.of_call(call))
        body = json.dumps(payload).encode()
        headers = [
            ("x-amz-target", target),
            ("content-type", "application/x-amz-json-1.1"),
            ("authorization", scope_line(Credential(caller.access_key, caller.region, service))),
        ]
        reply = self.ask(caller, service, Question("POST", "/", headers, "", io.BytesIO(body), len(body)))
        return _answer(target, reply)

    def open_object(self, caller: Caller, bucket: str, key: str) -> BinaryIO:
        """See `Cloud.open_object`."""
        self.authority.require_of_role(caller, permits.reading(bucket, key))
        try:
            return objects.open_object(caller, bucket, key)
        except AwsError as error:
            if error.code == "NoSuchKey":  # which is told to whoever may list the bucket
                self.authority.require_of_role(caller, permits.listing(bucket, key))
            raise

    def list_keys(self, caller: Caller, bucket: str, prefix: str) -> list[str]:
        """See `Cloud.list_keys`."""
        self.authority.require_of_role(caller, permits.listing(bucket, prefix))
        with self._turns["s3"]:
            return objects.list_keys(caller, bucket, prefix)

    def put_object(self, caller: Caller, bucket: str, key: str, body: BinaryIO) -> None:
        """See `Cloud.put_object`."""
        self.authority.require_of_role(caller, permits.writing(bucket, key))
        copied = objects.Joined([body])
        md5 = copied.md5()
        with self._turns["s3"]:  # by now nothing is left that takes time
            objects.put_object(caller, bucket, key, (copied, md5))

    def delete_object(self, caller: Caller, bucket: str, key: str) -> None:
        """See `Cloud.delete_object`."""
        self.authority.require_of_role(caller, permits.removing(bucket, key))
        with self._turns["s3"]:
            objects.delete_object(caller, bucket, key)

    def check_image(self, caller: Caller, image: str) -> None:
        """See `Cloud.check_image`."""
        self.authority.require_of_role(caller, *permits.pulling(image))

    def check_alarm(self, caller: Caller, name: str) -> None:
        """See `Cloud.check_alarm`."""
        partition = get_partition(caller.region)
        alarm = f"arn:{partition}:cloudwatch:{caller.region}:{caller.account}:alarm:{name}"
        self.authority.require_of_role(caller, permits.watching(alarm))

    def check_topic(self, caller: Caller, topic: str) -> None:
        """See `Cloud.check_topic`."""
        self.authority.require_of_role(caller, permits.notifying(topic))

    def check_push(self, caller: Caller, image: str) -> None:
        """See `Cloud.check_push`."""
        self.authority.require_of_role(caller, *permits.pushing(image))

    def role_trusts(self, caller: Caller, role_arn: str, service: str, source: str = "") -> bool:
        """See `Cloud.role_trusts`."""
        return self.authority.trusts(caller, role_arn, service, source)

    def make_bucket(self, caller: Caller, bucket: str) -> bool:
        """See `objects.make_bucket`."""
        return objects.make_bucket(caller, bucket)

    def make_role(self, caller: Caller, role: NewRole) -> bool:
        """Makes the role; False where there is one of that name."""
        backend = iam_backends[caller.account][get_partition(caller.region)]
        if any(known.name == role.name for known in backend.get_roles()):
            return False
        backend.create_role(role.name, json.dumps(role.trust), role.path, None, "", [], None)
        if role.rights:
            backend.put_role_policy(role.name, "rights", json.dumps(role.rights))
        return True

    def _tags_of(self, caller: Caller, arn: str) -> dict[str, str]:
        """The tags of what SageMaker has under that ARN; of all else none are known here."""
        if arn.split(":")[2:3] != ["sagemaker"]:
            return {}
        asking = replace(caller, role="")
        found = self.moto(asking, "ListTags", {"ResourceArn": arn}).get("Tags", ())
        return {tag["Key"]: tag["Value"] for tag in found}

    def _account_of(self, access_key: str) -> str:
        """An access key of 12 digits is an account's own; one that IAM or STS gave out is its account's."""
        if len(access_key) == 12 and access_key.isdigit():
            return access_key
        for account_id, account in list(iam_backends.items()):
            if any(access_key in backend.access_keys for backend in account.values()):
                return str(account_id)
        return self.settings.account_id

    def _environ(self, caller: Caller, question: Question) -> dict[str, Any]:
        path = urllib.parse.unquote_to_bytes(question.path).decode("latin-1")
        query = f"?{question.query}" if question.query else ""
        return {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": question.body,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": question.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "RAW_URI": question.path + query,
            "QUERY_STRING": question.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": self._host.rpartition(":")[2],
            "SERVER_PROTOCOL": "HTTP/1.1",
            **_environ_headers(question.headers),
            "HTTP_HOST": self._host,
            "HTTP_X_MOTO_ACCOUNT_ID": caller.account,
            "CONTENT_LENGTH": str(question.length),
        }


def _environ_headers(headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Headers as WSGI has them. A name with "_" would pass for another's: only S3's metadata may have one."""
    environ: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, value in headers:
        key = environ_key_for_header(name)
        if name == "transfer-encoding" or ("_" in name and not should_preserve_original_header_name(name)):
            continue
        if "_" in name:
            spelled[key] = name
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return {**environ, PRESERVED_HEADER_NAMES_ENVIRON_KEY: spelled}


def _closing(body: Any) -> Iterator[bytes]:
    try:
        yield from body
    finally:
        if hasattr(body, "close"):
            body.close()


def signature(scope: Scope) -> str:
    """The Authorization header, or what a presigned URL has in its place."""
    query = urllib.parse.parse_qs(scope.get("query_string", b"").decode("latin-1"))
    if "X-Amz-Credential" in query:
        return f"Credential={query['X-Amz-Credential'][0]}"
    if "AWSAccessKeyId" in query:  # S3's older form, which boto3 still makes
        return scope_line(Credential(query["AWSAccessKeyId"][0], DEFAULT_REGION, "s3"))
    return header(scope, b"authorization")


def scope_line(credential: Credential) -> str:
    scope = f"{credential.access_key}/20000101/{credential.region}/{credential.service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def _answer(target: str, reply: Reply) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(b"".join(reply.body) or b"{}")
    if reply.status >= 400:
        code = str(body.pop("__type", "InternalFailure")).rpartition("#")[2]
        message = str(body.pop("message", "") or body.pop("Message", ""))
        raise AwsError(reply.status, code, message, {k: v for k, v in body.items() if k != "Message"})
    if ".Describe" not in target:
        return body
    # moto sends "VpcConfig": {} and nulls where AWS leaves the key out; the SageMaker SDK refuses them.
    return {name: value for name, value in body.items() if value not in ({}, None, "")}
