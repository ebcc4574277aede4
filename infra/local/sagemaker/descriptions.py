"""How an endpoint is told of in DescribeEndpoint and ListEndpoints. Pure.

Source: API_DescribeEndpoint. During an update the endpoint's configuration and variants are still the
old ones, and PendingDeploymentSummary has the new: SageMaker's own deployment events show it so.
"""

from __future__ import annotations

import hashlib
from typing import Any

from infra.local.sagemaker.fleets import Group, Serverless, Variant
from infra.local.sagemaker.states import Endpoint, Rollout

Json = dict[str, Any]


def described(endpoint: Endpoint) -> Json:
    """DescribeEndpoint's answer, without what there is nothing to say of."""
    desired = endpoint.desired
    optional = {
        "ProductionVariants": [_variant(one, desired[name]) for name, one in endpoint.fleet.items()],
        "FailureReason": endpoint.failure,
        "DataCaptureConfig": _capture(endpoint),
        "AsyncInferenceConfig": endpoint.options.given,
        "LastDeploymentConfig": endpoint.deployment,
        "PendingDeploymentSummary": _pending(endpoint.pending) if endpoint.pending else None,
    }
    given = {name: value for name, value in optional.items() if value}
    return {**summarised(endpoint), "EndpointConfigName": endpoint.config, **given}


def summarised(endpoint: Endpoint) -> Json:
    """The endpoint's line in ListEndpoints."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
        "EndpointStatus": endpoint.status,
    }


def _capture(endpoint: Endpoint) -> Json | None:
    capture = endpoint.options.capture
    if capture is None:
        return None
    return {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": capture.percentage,
        "DestinationS3Uri": capture.destination,
        "KmsKeyId": capture.key,
    }


def _variant(group: Group, desired: Variant) -> Json:
    return {
        "VariantName": group.variant.name,
        "DeployedImages": [_image(group.variant.container.image, group.since)],
        "CurrentWeight": group.weight,
        "DesiredWeight": desired.weight,
        **_size(group.variant, len(group.containers), desired),
    }


def _size(now: Variant, count: int, desired: Variant) -> Json:
    sizes: Json = {}
    if now.serverless:
        sizes["CurrentServerlessConfig"] = _serverless(now.serverless)
    else:
        sizes["CurrentInstanceCount"] = count
    if desired.serverless:
        return {**sizes, "DesiredServerlessConfig": _serverless(desired.serverless)}
    return {**sizes, "DesiredInstanceCount": desired.count}


def _serverless(limits: Serverless) -> Json:
    provisioned = {"ProvisionedConcurrency": limits.provisioned} if limits.provisioned else {}
    return {"MemorySizeInMB": limits.memory_mb, "MaxConcurrency": limits.concurrency, **provisioned}


def _pending(rollout: Rollout) -> Json:
    return {
        "EndpointConfigName": rollout.config,
        "ProductionVariants": [_pending_variant(one, rollout) for one in rollout.variants],
        "StartTime": rollout.since,
    }


def _pending_variant(variant: Variant, rollout: Rollout) -> Json:
    stage, runs = rollout.stage, rollout.fleet.get(variant.name)
    return {
        "VariantName": variant.name,
        "DeployedImages": [_image(variant.container.image, rollout.since)],
        "CurrentWeight": variant.weight if runs else 0.0,
        "DesiredWeight": variant.weight,
        **_size(variant, len(runs.containers) if runs else 0, variant),
        **({"InstanceType": variant.instance_type} if variant.instance_type else {}),
        "VariantStatus": [{"Status": stage.status, "StatusMessage": stage.message, "StartTime": stage.since}],
    }


def _image(uri: str, since: float) -> Json:
    # No registry is asked: the digest is the URI's own, so that one image resolves to one name.
    name, slash, tagged = uri.rpartition("/")
    repository = name + slash + tagged.partition(":")[0]
    resolved = uri if "@" in uri else f"{repository}@sha256:{hashlib.sha256(uri.encode()).hexdigest()}"
    return {"SpecifiedImage": uri, "ResolvedImage": resolved, "ResolutionTime": since}
