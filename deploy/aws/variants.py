"""What an endpoint configuration holds besides its name: the variant, its queue, what is captured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.config import Config
from deploy.image import rayserve

VARIANT = "AllTraffic"
# Of the content types that the runtime answers: what is captured is text, and not base64.
_TEXT = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json", "application/jsonlines"]}
_MODES = {"input": ["Input"], "output": ["Output"], "both": ["Input", "Output"]}


def serving(config: Config, model: str) -> dict[str, Any]:
    """CreateEndpointConfig's members that say how this model is served."""
    variant = {"VariantName": VARIANT, "ModelName": model, **_machines(config)}
    return {"ProductionVariants": [variant], **_asynchronous(config), **_capture(config)}


def scaled(config: Config) -> dict[str, Any]:
    """What Application Auto Scaling calls the variant, and what of it is scaled."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{config.name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _machines(config: Config) -> dict[str, Any]:
    serverless, aws = config.endpoint.serverless, config.aws
    if serverless:
        size = {"MemorySizeInMB": serverless.memory_mb, "MaxConcurrency": serverless.concurrency}
        return {"ServerlessConfig": size}
    count = {"InstanceType": aws.instance_type, "InitialInstanceCount": _at_first(config)}
    return {**count, **rayserve.host(config)}


def _at_first(config: Config) -> int:
    """Within what is scaled: an endpoint begins with an instance, also where it may go to none."""
    scaling, count = config.endpoint.scaling, config.aws.instance_count
    return max(1, scaling.min, min(count, scaling.max)) if scaling else count


def _asynchronous(config: Config) -> dict[str, Any]:
    asked = config.endpoint.asynchronous
    if asked is None:
        return {}
    output, bucket = asked.output.rstrip("/") or f"asynchronous/{config.name}", config.aws.bucket
    failure = asked.failure.rstrip("/") or f"{output}-failed"
    places = {"S3OutputPath": f"s3://{bucket}/{output}", "S3FailurePath": f"s3://{bucket}/{failure}"}
    client = {"MaxConcurrentInvocationsPerInstance": asked.concurrency}
    return {
        "AsyncInferenceConfig": {
            "OutputConfig": places,
            **({"ClientConfig": client} if asked.concurrency else {}),
        }
    }


def _capture(config: Config) -> dict[str, Any]:
    asked = config.endpoint.capture
    if asked is None:
        return {}
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": asked.percent,
            # SageMaker puts the endpoint's name and the variant's below it.
            "DestinationS3Uri": f"s3://{config.aws.bucket}/{asked.prefix.rstrip('/') or 'captured'}",
            "CaptureOptions": [{"CaptureMode": mode} for mode in _MODES[asked.what]],
            "CaptureContentTypeHeader": _TEXT,
        }
    }


def told(described: Mapping[str, Any]) -> str:
    """What DescribeEndpoint says that the endpoint runs on, in words."""
    return ", ".join(_told(variant) for variant in described.get("ProductionVariants", []))


def _told(variant: Mapping[str, Any]) -> str:
    if size := variant.get("CurrentServerlessConfig"):
        return f"serverless, {size['MemorySizeInMB']} MB, {size['MaxConcurrency']} requests at once"
    return f"{variant.get('CurrentInstanceCount', '?')} of {variant.get('DesiredInstanceCount', '?')}"
