"""What passes between a caller and a container, and in which words a call fails. Pure.

Source: API_runtime_InvokeEndpoint, your-algorithms-inference-code, botocore's model of sagemaker-runtime; the
sentences are those of public issue threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.asgi import Scope, header
from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.sagemaker.containers import GROUP

PREFIX = "X-Amzn-SageMaker-"
# Besides Content-Type and Accept. Every other header of the request is stripped.
PASSED = ("Custom-Attributes", "Target-Variant", "Inference-Id", "Session-Id", "Inference-Component")
LIMITS = {"Custom-Attributes": 1024, "Inference-Id": 64, "Session-Id": 256}
PASSED_BACK = ("Custom-Attributes", "New-Session-Id", "Closed-Session-Id")
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
MESSAGE_CHARACTERS = 2048  # of an error's Message, as botocore's model has it


@dataclass(frozen=True)
class Invocation:
    """One request: where it goes, and the headers that pass."""

    caller: Caller
    endpoint: str
    target: str  # a variant, "" for any
    headers: Mapping[str, str]
    body: bytes
    streamed: bool = False
    is_queued: bool = False


def invocation_of(scope: Scope, caller: Caller, body: bytes) -> Invocation:
    """What the request asks for; raises AwsError where a header breaks its limits."""
    _, _, name, route = scope["path"].split("/")
    streamed, is_queued = route == "invocations-response-stream", route == "async-invocations"
    if header(scope, b"x-amzn-sagemaker-target-model"):
        raise validation_error(
            f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
        )
    given = {one: header(scope, (PREFIX + one).lower().encode()) for one in PASSED}
    for one, limit in LIMITS.items():
        _check(one, given[one], limit)
    accept = b"x-amzn-sagemaker-accept" if streamed or is_queued else b"accept"
    kind = b"x-amzn-sagemaker-content-type" if is_queued else b"content-type"
    plain = {"Content-Type": header(scope, kind), "Accept": header(scope, accept)}
    headers = {**plain, **{PREFIX + one: value for one, value in given.items()}}
    passed = {key: value for key, value in headers.items() if value}
    return Invocation(caller, name, given["Target-Variant"], passed, body, streamed, is_queued)


def answer_headers(variant: str, container: Mapping[str, str], streamed: bool) -> list[tuple[str, str]]:
    """What of the container's answer the caller sees, and which variant it was."""
    kept = [(PREFIX + one, container[PREFIX + one]) for one in PASSED_BACK if PREFIX + one in container]
    kind = (f"{PREFIX}Content-Type" if streamed else "Content-Type", container.get("Content-Type", ""))
    return [("x-Amzn-Invoked-Production-Variant", variant), kind, *kept]


def validation_error(message: str) -> AwsError:
    """The data plane's refusal: another code than the control plane's."""
    return AwsError(400, "ValidationError", message)


def not_found(caller: Caller, endpoint: str) -> AwsError:
    """The endpoint is not there, or not InService yet: the data plane makes no difference."""
    return validation_error(f"Endpoint {endpoint} of account {caller.account} not found.")


def unavailable() -> AwsError:
    """No container answers."""
    return AwsError(503, "ServiceUnavailable", "The service is unavailable. Try your call again.")


def throttled() -> AwsError:
    """More requests at once than a serverless endpoint may have. The message is null.

    Source: opensearch-project/ml-commons issue 2429, which saw it so of another kind of endpoint.
    """
    return AwsError(400, "ThrottlingException", "", {"message": None})


def not_ready(why: str) -> AwsError:
    """A serverless endpoint's container is not to be had. Source: API_runtime_InvokeEndpoint."""
    return AwsError(429, "ModelNotReadyException", why)


def asynchronous_only(endpoint: str) -> AwsError:
    """InvokeEndpoint on an asynchronous endpoint: a ValidationError, whose text is ours."""
    return validation_error(
        f"Endpoint {endpoint} has an AsyncInferenceConfig and does not support InvokeEndpoint: use "
        "InvokeEndpointAsync."
    )


def not_asynchronous(endpoint: str) -> AwsError:
    """InvokeEndpointAsync on another endpoint: a ValidationError, whose text is ours."""
    return validation_error(
        f"Endpoint {endpoint} has no AsyncInferenceConfig and does not support InvokeEndpointAsync."
    )


def answer_too_large(invocation: Invocation, limit: int) -> AwsError:
    """A serverless endpoint's answer is over its limit; the text is ours."""
    return model_error(invocation, 0, f"The response of container primary has more than {limit} bytes.")


def model_error(invocation: Invocation, status: int, said: str) -> AwsError:
    """The container answered with an error, or (status 0) did not answer."""
    region, account = invocation.caller.region, invocation.caller.account
    group = GROUP + invocation.endpoint
    side = "client" if status // 100 == 4 else "server"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    head = f'Received {side} error ({status}) from primary with message "'
    tail = f'". See {console}#logEventViewer:group={group} in account {account} for more information.'
    fields = {
        "OriginalStatusCode": status,
        "OriginalMessage": said[:MESSAGE_CHARACTERS],
        "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "INTERNAL_FAILURE_FROM_MODEL",
    }
    room = MESSAGE_CHARACTERS - len(head) - len(tail)
    return AwsError(424, "ModelError", f"{head}{said[:room]}{tail}", fields)


def _check(name: str, value: str, limit: int) -> None:
    camel = name[0].lower() + name[1:].replace("-", "")
    place = f"1 validation error detected: Value at '{camel}' failed to satisfy constraint: Member must"
    if len(value) > limit:
        raise validation_error(f"{place} have length less than or equal to {limit}")
    if not value.isascii():
        raise validation_error(f"{place} satisfy regular expression pattern: \\p{{ASCII}}*")
