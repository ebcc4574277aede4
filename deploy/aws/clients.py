"""boto3's clients, made once each, and its errors told as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy.aws import errors
from deploy.latency import MOST_AT_ONCE
from deploy.target import CloudError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# 60 s is SageMaker's own limit for an invocation: the socket waits longer, so that its error is the one seen.
SETTINGS = ClientConfig(
    retries={"mode": "adaptive", "total_max_attempts": 5}, connect_timeout=5, read_timeout=70
)


@cache
def s3(region: str) -> S3Client:
    return boto3.client("s3", region_name=region, config=SETTINGS)


@cache
def sagemaker(region: str) -> SageMakerClient:
    return boto3.client("sagemaker", region_name=region, config=SETTINGS)


@cache
def runtime(region: str) -> SageMakerRuntimeClient:
    # botocore keeps ten connections and makes each further one anew for its request.
    many = SETTINGS.merge(ClientConfig(max_pool_connections=MOST_AT_ONCE))
    return boto3.client("sagemaker-runtime", region_name=region, config=many)


@cache
def streams(region: str) -> SageMakerRuntimeClient:
    """For answers that come in pieces, of which SageMaker allows the whole, and so each, 8 minutes."""
    many = SETTINGS.merge(ClientConfig(max_pool_connections=MOST_AT_ONCE, read_timeout=490))
    return boto3.client("sagemaker-runtime", region_name=region, config=many)


@cache
def logs(region: str) -> CloudWatchLogsClient:
    return boto3.client("logs", region_name=region, config=SETTINGS)


@cache
def cloudwatch(region: str) -> Any:
    return boto3.client("cloudwatch", region_name=region, config=SETTINGS)


@cache
def scaling(region: str) -> Any:
    return boto3.client("application-autoscaling", region_name=region, config=SETTINGS)


@cache
def ecr(region: str) -> Any:
    return boto3.client("ecr", region_name=region, config=SETTINGS)


@cache
def codebuild(region: str) -> Any:
    return boto3.client("codebuild", region_name=region, config=SETTINGS)


@cache
def scheduler(region: str) -> Any:
    return boto3.client("scheduler", region_name=region, config=SETTINGS)


@cache
def cloudformation(region: str) -> Any:
    return boto3.client("cloudformation", region_name=region, config=SETTINGS)


@cache
def sts(region: str) -> Any:
    return boto3.client("sts", region_name=region, config=SETTINGS)


@cache
def quotas(region: str) -> Any:
    return boto3.client("service-quotas", region_name=region, config=SETTINGS)


@cache
def resource_tags(region: str) -> Any:
    return boto3.client("resourcegroupstaggingapi", region_name=region, config=SETTINGS)


@cache
def pricing() -> Any:
    """Of every region's prices. A list that does not answer soon is done without."""
    soon = ClientConfig(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=20)
    # Source: docs.aws.amazon.com/awsaccountbilling: the Price List Query API has few endpoints, and here one.
    return boto3.client("pricing", region_name="us-east-1", config=soon)


@contextmanager
def told(refused: type[CloudError] = CloudError) -> Iterator[None]:
    """Tell the SDK's errors as sentences; `refused` is raised where AWS surely did nothing."""
    try:
        yield
    except (ClientError, S3UploadFailedError) as error:
        # boto3 tells a failed upload as text; the answer that it had is the error it came of.
        source = error if isinstance(error, ClientError) else error.__context__
        response: Mapping[str, Any] = source.response if isinstance(source, ClientError) else {}
        kind = refused if _is_first_answer(response) else CloudError
        raise kind(errors.refusal(response) or str(error)) from error
    except BotoCoreError as error:
        raise CloudError(errors.failure(type(error).__name__, str(error))) from error
    except ResponseParserError as error:
        # What stands in between, such as a proxy, has answered in AWS's place.
        first = str(error).partition("\n")[0][:200]
        raise CloudError(f"what answered is not AWS: {first}: look at proxies and at the address") from error


def _is_first_answer(response: Mapping[str, Any]) -> bool:
    """Whether the only try was refused: where there were more, an earlier one may have had its effect."""
    metadata = response.get("ResponseMetadata", {})
    return 400 <= metadata.get("HTTPStatusCode", 500) < 500 and not metadata.get("RetryAttempts", 0)


@contextmanager
def unless(settled: Callable[[Mapping[str, Any]], bool]) -> Iterator[None]:
    """Take an answer for success where it says that what was asked for is so already."""
    try:
        yield
    except ClientError as error:
        if not settled(error.response):
            raise
