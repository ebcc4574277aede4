"""Application Auto Scaling on the endpoint's variant: a range of instances, and the number it follows.

A variant has one range, and may have one policy for a metric: so the policy keeps its name, and what it says
is the resource's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws import clients, tagging, waking
from deploy.aws.clients import unless
from deploy.aws.variants import scaled
from deploy.config import Config
from deploy.plan import Resource
from deploy.target import Say

KIND = "scaling"
# Source: Application Auto Scaling's MetricType.
_METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
_BACKLOG = "ApproximateBacklogSizePerInstance"


def desired(config: Config) -> list[Resource]:
    """The variant's range and its policy, where deploy.toml has [endpoint.scaling]."""
    asked = config.endpoint.scaling
    if asked is None:
        return []
    target = {
        **scaled(config),
        "MinCapacity": asked.min,
        "MaxCapacity": asked.max,
        "Tags": tagging.of(config),
    }
    policy = {
        **scaled(config),
        "PolicyName": _policy_name(config),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            **_followed(config),
            "ScaleInCooldown": asked.scale_in_s,
            "ScaleOutCooldown": asked.scale_out_s,
        },
    }
    wake = waking.requests(config)
    params = {
        "RegisterScalableTarget": target,
        "PutScalingPolicy": policy,
        **({"Wake": wake} if wake else {}),
    }
    return [Resource(KIND, config.name, _told(target, policy, bool(wake)), params=params)]


def _policy_name(config: Config) -> str:
    return f"slipway-{config.name}"


def _followed(config: Config) -> dict[str, Any]:
    asked = config.endpoint.scaling
    if asked and asked.backlog:
        # Source: docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
        metric = {
            "MetricName": _BACKLOG,
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
            "Statistic": "Average",
        }
        return {"TargetValue": float(asked.backlog), "CustomizedMetricSpecification": metric}
    word = next(word for word in _METRICS if getattr(asked, word))
    followed = {"PredefinedMetricType": _METRICS[word]}
    return {"TargetValue": float(getattr(asked, word)), "PredefinedMetricSpecification": followed}


def _told(target: Any, policy: Any, wakes: bool) -> str:
    """What is wanted, or there, in words that are equal if it is; only of what we say, AWS may add to it."""
    how = policy.get("TargetTrackingScalingPolicyConfiguration", {})
    metric = how.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType") or how.get(
        "CustomizedMetricSpecification", {}
    ).get("MetricName")
    return (
        f"{target['MinCapacity']} to {target['MaxCapacity']} instances, "
        f"{metric} {how.get('TargetValue', 0):g}, "
        f"in after {how.get('ScaleInCooldown')} s, out after {how.get('ScaleOutCooldown')} s"
        f"{', the first when a request waits' if wakes else ''}"
    )


def observed(config: Config) -> list[Resource]:
    """The range and our policy, ours by its name; a policy alone is in no version that is wanted."""
    asked = {**scaled(config), "PolicyNames": [_policy_name(config)]}
    policies = clients.scaling(config.aws.region).describe_scaling_policies(**asked)["ScalingPolicies"]
    if not policies:
        return []
    targets = _targets(config)
    version = (
        _told(targets[0], policies[0], waking.is_there(config)) if targets else "a policy without a range"
    )
    return [Resource(KIND, config.name, version)]


def _targets(config: Config) -> list[Any]:
    variant = scaled(config)
    asked = {"ResourceIds": [variant.pop("ResourceId")], **variant}
    return list(clients.scaling(config.aws.region).describe_scalable_targets(**asked)["ScalableTargets"])


def make(config: Config, resource: Resource, say: Say) -> None:
    """Set the range and the policy; both replace what is there of them."""
    client, target = clients.scaling(config.aws.region), resource.params["RegisterScalableTarget"]
    # Source: Application Auto Scaling's RegisterScalableTarget: tags are for one that is made.
    kept = {"Tags"} if _targets(config) else set()
    client.register_scalable_target(**{name: value for name, value in target.items() if name not in kept})
    # The policy that `observed` looks for first: what was stopped half-way is seen to be so.
    client.put_scaling_policy(**resource.params["PutScalingPolicy"])
    if "Wake" in resource.params:
        waking.make(config, resource.params["Wake"])
    else:
        _stop_waking(config)


def _stop_waking(config: Config) -> None:
    waking.still(config)
    with unless(_is_gone):
        waking.forget(config)


def remove(config: Config, resource: Resource) -> None:
    """Delete all of it, the policy that `observed` looks for last."""
    client, variant = clients.scaling(config.aws.region), scaled(config)
    _stop_waking(config)
    with unless(_is_gone):
        # AWS deletes the policies with it.
        client.deregister_scalable_target(**variant)
    with unless(_is_gone):
        client.delete_scaling_policy(**variant, PolicyName=_policy_name(config))


def _is_gone(response: Mapping[str, Any]) -> bool:
    error = response["Error"]
    missing = "found for service namespace" in error.get("Message", "")
    return missing or bool(error.get("Code") == "ObjectNotFoundException")
