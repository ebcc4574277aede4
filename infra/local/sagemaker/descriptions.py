"""How an endpoint is told of in DescribeEndpoint and ListEndpoints. Pure.

Source: API_DescribeEndpoint. During an update the endpoint's configuration and variants are still the
old ones, and PendingDeploymentSummary has the new: SageMaker's own deployment events show it so.
"""

from __future__ import annotations

import hashlib
from typing import Any

from infra.local.sagemaker.fleets import Group, Variant
from infra.local.sagemaker.states import Endpoint, Rollout

Json = dict[str, Any]


def described(endpoint: Endpoint) -> Json:
    """DescribeEndpoint's answer, without what there is nothing to say of."""
    desired = endpoint.desired
    optional = {
        "ProductionVariants": [_variant(one, desired[name]) for name, one in endpoint.fleet.items()],
        "FailureReason": endpoint.failure,
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


def _variant(group: Group, desired: Variant) -> Json:
    return {
        "VariantName": group.variant.name,
        "DeployedImages": [_image(group.variant.container.image, group.since)],
        "CurrentWeight": group.weight,
        "DesiredWeight": desired.weight,
        "CurrentInstanceCount": len(group.containers),
        "DesiredInstanceCount": desired.count,
    }


def _pending(rollout: Rollout) -> Json:
    return {
        "EndpointConfigName": rollout.config,
        "ProductionVariants": [_pending_variant(one, rollout.since) for one in rollout.variants],
        "StartTime": rollout.since,
    }


def _pending_variant(variant: Variant, since: float) -> Json:
    return {
        "VariantName": variant.name,
        "DeployedImages": [_image(variant.container.image, since)],
        "CurrentWeight": 0.0,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": variant.count,
        "InstanceType": variant.instance_type,
        "VariantStatus": [{"Status": "Creating", "StartTime": since}],
    }


def _image(uri: str, since: float) -> Json:
    # No registry is asked: the digest is the URI's own, so that one image resolves to one name.
    name, slash, tagged = uri.rpartition("/")
    repository = name + slash + tagged.partition(":")[0]
    resolved = uri if "@" in uri else f"{repository}@sha256:{hashlib.sha256(uri.encode()).hexdigest()}"
    return {"SpecifiedImage": uri, "ResolvedImage": resolved, "ResolutionTime": since}
