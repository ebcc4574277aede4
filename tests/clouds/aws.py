"""AWS as the tests see it: boto3 against the tests' local cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from waiting import until

from clouds import STRANGE
from deploy.aws import clients

BUCKET, OWNER = "slipway-tests", "slipway:deployment"
# What AWS answers where HTTP has one status for it.
ANSWERS = {
    401: (400, "ExpiredTokenException"),
    403: (400, "AccessDeniedException"),
    429: (400, "ThrottlingException"),
    500: (500, "InternalFailure"),
}


def forget() -> None:
    """The next verb makes its clients anew, as a new process would."""
    for made in vars(clients).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()
    boto3.DEFAULT_SESSION = None


def fresh() -> Any:
    """The SDK's session, made anew, so that a test can listen to what it sends."""
    forget()
    boto3.setup_default_session()
    return boto3.DEFAULT_SESSION


class Storage:
    """Objects in S3."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def put(self, uri: str, body: bytes | str) -> None:
        bucket, key = _split(uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def get(self, uri: str) -> bytes:
        bucket, key = _split(uri)
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except self._s3.exceptions.NoSuchKey:
            raise FileNotFoundError(uri) from None

    def list(self, uri: str) -> list[str]:
        bucket, prefix = _split(uri)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(f"s3://{bucket}/{one['Key']}" for page in pages for one in page.get("Contents", []))

    def remove(self, uri: str) -> None:
        for one in self.list(uri):
            bucket, key = _split(one)
            self._s3.delete_object(Bucket=bucket, Key=key)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class Aws:
    """AWS; see `clouds.Cloud`."""

    name, bucket = "aws", BUCKET
    kinds = ("archive", "model", "endpoint_config", "endpoint")
    machines = ("ml.m7i.large", "ml.c7i.xlarge")

    def __init__(self, local: Any) -> None:
        self.local, self.storage = local, Storage(local.client("s3"))
        self._session: Any = None

    def uri(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"

    def held(self, name: str) -> set[str]:
        sagemaker = self.local.client("sagemaker")
        found = {f"archive {uri.removeprefix(self.uri())}" for uri in self.storage.list(self.uri(name))}
        found |= {f"model {m['ModelName']}" for m in sagemaker.list_models()["Models"]}
        configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        found |= {f"endpoint_config {c['EndpointConfigName']}" for c in configs}
        found |= {f"endpoint {e['EndpointName']}" for e in sagemaker.list_endpoints()["Endpoints"]}
        own = re.compile(rf"\w+ {name}(-[0-9a-f]{{12}}|/.*)?")
        return {thing for thing in found if own.fullmatch(thing)}

    def asked(self, name: str, body: str = "1") -> Any:
        runtime = self.local.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/jsonlines")
        return json.loads(answer["Body"].read())

    def machine(self, name: str) -> str:
        sagemaker = self.local.client("sagemaker")
        config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
        (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        return str(variant["InstanceType"])

    def give(self, name: str, owner: str) -> None:
        sagemaker = self.local.client("sagemaker")
        arn = sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=[OWNER])
        if owner:
            sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": OWNER, "Value": owner}])

    def add_model(self, like: str) -> str:
        sagemaker = self.local.client("sagemaker")
        made = sagemaker.list_models(NameContains=f"{like}-")["Models"][0]["ModelName"]
        known = sagemaker.describe_model(ModelName=made)
        copied = {word: known[word] for word in ("PrimaryContainer", "ExecutionRoleArn")}
        sagemaker.create_model(ModelName=f"{like}-{STRANGE}", **copied)
        return f"{like}-{STRANGE}"

    def delete_model(self, model: str) -> None:
        self.local.client("sagemaker").delete_model(ModelName=model)

    def delete_endpoint(self, name: str) -> None:
        sagemaker = self.local.client("sagemaker")
        sagemaker.delete_endpoint(EndpointName=name)
        until(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"], 30)

    def forget(self) -> None:
        self._session = None
        forget()

    def on_call(self, heard: Callable[[str], None]) -> None:
        self._events().register("after-call", lambda model, **_: heard(model.name))

    def refuse(self, operation: str, status: int) -> None:
        status, code = ANSWERS[status]
        self._answer(operation, status, {"__type": code, "message": "no"})

    def ignore(self, operation: str) -> None:
        self._answer(operation, 200, {})

    def _answer(self, operation: str, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self._events().register(
            f"before-send.*.{operation}",
            lambda request, **_: AWSResponse(request.url, status, {}, _Body(body)),
        )

    def without_credentials(self, patch: Any) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        self.forget()

    @cached_property
    def bucket_of_others(self) -> str:
        self.local.client("s3", account="999999999999").create_bucket(Bucket="slipway-of-others")
        return "slipway-of-others"

    def _events(self) -> Any:
        if self._session is None:
            self._session = fresh()
        return self._session.events

    def close(self) -> None:
        """Nothing: its clients are the local cloud's."""


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content
