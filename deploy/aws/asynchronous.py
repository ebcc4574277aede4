"""One prediction of an asynchronous endpoint: the request as an object, then the answer as one.

What is put for it is taken away again; what somebody else asks is theirs, and stays.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy.aws import clients, storage
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.plan import Resource
from deploy.target import Answer, CloudError, Heard, Request

if TYPE_CHECKING:
    from deploy.sections.endpoint import Asynchronous

FILES = "waiting_files"  # requests of an `invoke` that was killed
FIRST_POLL_S, LAST_POLL_S = 0.05, 5.0
_GRACE_S = 30  # beyond the platform's own time limits, for its objects to be seen


def predict(config: Config, asked: Asynchronous, request: Request, heard: Heard) -> Answer:
    """The answer, when its object is there; CloudError with the container's words where a failure is."""
    start = time.perf_counter()
    with _put(config, request) as place:
        answer = clients.runtime(config.aws.region).invoke_endpoint_async(
            EndpointName=config.name,
            InputLocation=str(place),
            ContentType=request.content_type,
            InvocationTimeoutSeconds=asked.timeout_s,
            RequestTTLSeconds=asked.expires_s,
            **({"Accept": request.accept} if request.accept else {}),
        )
        body, kind = _awaited(config, answer, asked.timeout_s + asked.expires_s + _GRACE_S)
    heard(body)
    return Answer(body, kind, (time.perf_counter() - start) * 1000)


@contextmanager
def _put(config: Config, request: Request) -> Iterator[Remote]:
    """The request as an object, for as long as it is needed."""
    place = Remote(storage.SCHEME, config.aws.bucket, f"{_prefix(config)}{uuid.uuid4()}")
    storage.put(config, place, request.body)
    try:
        yield place
    finally:
        storage.remove(config, [place])


def _prefix(config: Config) -> str:
    return f"{config.name}/waiting/"


def _awaited(config: Config, answer: Any, patience_s: float) -> tuple[bytes, str]:
    """The answer's bytes and content type. Its object is then deleted: nobody else knows of it."""
    output, failure = _place(answer["OutputLocation"]), answer.get("FailureLocation", "")
    start = time.monotonic()
    while (waited := time.monotonic() - start) < patience_s:
        if found := _read(config, output):
            storage.remove(config, [output])
            return found
        if failure and (failed := _read(config, _place(failure))):
            storage.remove(config, [_place(failure)])
            raise CloudError(f"the endpoint failed to answer: {failed[0].decode(errors='replace').strip()}")
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, waited / 10)))
    raise CloudError(f"no answer lies at {output} after {patience_s:.0f} s: `logs` shows what it does")


def _place(uri: str) -> Remote:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return Remote(storage.SCHEME, bucket, key)


def _read(config: Config, place: Remote) -> tuple[bytes, str] | None:
    try:
        found = clients.s3(config.aws.region).get_object(
            Bucket=place.bucket, Key=place.key, ExpectedBucketOwner=config.aws.account
        )
    except ClientError as error:
        if error.response["Error"].get("Code") == "NoSuchKey":
            return None
        raise
    with found["Body"] as body:
        return body.read(), found.get("ContentType", "")


def traces(config: Config) -> list[Resource]:
    """Requests that were put and not taken away: their `invoke` was killed."""
    there = storage.left(config, Remote(storage.SCHEME, config.aws.bucket, _prefix(config)))
    return [Resource(FILES, _prefix(config), f"{len(there)} objects")] if there else []


def remove(config: Config, left: Resource) -> None:
    """Delete what `traces` found."""
    place = Remote(storage.SCHEME, config.aws.bucket, left.name)
    there = storage.listed(config, place)
    storage.remove(config, [Remote(place.scheme, place.bucket, one.key) for one in there])
