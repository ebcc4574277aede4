"""Scalable targets and scaling policies where moto keeps them, for endpoint variants alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.autoscaling.capacities import HIGH_PERIODS, LOW_PERIODS, LOW_SHARE, Bounds
from infra.local.cloudwatch.moto_metrics import Place
from infra.local.cloudwatch.samples import Metric

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")
PREDEFINED = {"SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum")}
PERIOD_S = 60
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """A variant that is scaled, and between which numbers."""

    place: Place
    endpoint: str
    variant: str
    bounds: Bounds
    is_suspended: bool = False

    @property
    def resource(self) -> str:
        """Its ResourceId."""
        return f"endpoint/{self.endpoint}/variant/{self.variant}"


def targets() -> Iterator[Target]:
    """Every variant that is registered, of every account and region."""
    for place, backend in _backends():
        for resource, found in list(backend.targets.get(DIMENSION, {}).items()):
            if match := RESOURCE.fullmatch(resource):
                bounds = Bounds(found.min_capacity, found.max_capacity)
                state = found.suspended_state or {}
                yield Target(place, match["endpoint"], match["variant"], bounds, all(_suspensions(state)))


def find(place: Place, resource: str) -> Target | None:
    """The variant's registration, None if it has none."""
    return next((one for one in targets() if (one.place, one.resource) == (place, resource)), None)


def of_endpoint(place: Place, endpoint: str) -> list[Target]:
    """The endpoint's variants that are registered."""
    return [one for one in targets() if (one.place, one.endpoint) == (place, endpoint)]


def policies(target: Target) -> list[Any]:
    """moto's records of the target's scaling policies."""
    backend = _backend(target.place)
    return [one for one in list(backend.policies.values()) if one.resource_id == target.resource]


def forget_policies(place: Place, resource: str, name: str = "") -> None:
    """Deletes the resource's policies (or the one of that name) with the alarms that they made."""
    backend = _backend(place)
    for key, policy in list(backend.policies.items()):
        if policy.resource_id == resource and name in ("", policy.policy_name):
            policy.delete_alarms(place.account, place.region)
            del backend.policies[key]


def forget(target: Target) -> None:
    """Deregisters the variant, as the deletion of its endpoint does."""
    forget_policies(target.place, target.resource)
    _backend(target.place).targets.get(DIMENSION, {}).pop(target.resource, None)


def let_policies_make_alarms() -> None:
    """moto makes a target tracking policy's alarms for DynamoDB and ECS; here for endpoints, too."""
    from moto.applicationautoscaling.models import FakeApplicationAutoscalingPolicy as Policy

    if hasattr(Policy, "makes_alarms_of_endpoints"):
        return
    before = Policy.create_alarms

    def create_alarms(policy: Any) -> None:
        before(policy)
        if policy.policy_type == "TargetTrackingScaling" and policy.service_namespace == "sagemaker":
            policy.alarms.extend(_alarms(policy))

    setattr(Policy, "create_alarms", create_alarms)  # noqa: B010 - mypy
    setattr(Policy, "makes_alarms_of_endpoints", True)  # noqa: B010 - likewise


def metric_of(config: Json, resource: str) -> tuple[Metric, str] | None:
    """The metric that a TargetTrackingScalingPolicyConfiguration tracks, and its statistic."""
    match = RESOURCE.fullmatch(resource)
    known = PREDEFINED.get(
        (config.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType", "")
    )
    if known and match:
        variant = (("EndpointName", match["endpoint"]), ("VariantName", match["variant"]))
        return Metric("AWS/SageMaker", known[0], variant), known[1]
    custom = config.get("CustomizedMetricSpecification") or {}
    if "MetricName" not in custom:
        return None
    dimensions = tuple((one["Name"], one["Value"]) for one in custom.get("Dimensions", ()))
    return Metric(custom["Namespace"], custom["MetricName"], dimensions), custom["Statistic"]


def _alarms(policy: Any) -> list[Any]:
    from moto.cloudwatch.models import cloudwatch_backends

    config = policy.target_tracking_scaling_policy_configuration
    found = metric_of(config, policy.resource_id)
    if found is None:
        return []
    metric, stat = found
    target = float(config["TargetValue"])
    backend = cloudwatch_backends[policy.account_id][policy.region_name]
    sides = (
        ("AlarmHigh", "GreaterThanThreshold", target, HIGH_PERIODS),
        ("AlarmLow", "LessThanThreshold", LOW_SHARE * target, LOW_PERIODS),
    )
    return [
        backend.put_metric_alarm(
            name=f"TargetTracking-{policy.resource_id}-{side}-{uuid.uuid4()}",
            namespace=metric.namespace,
            metric_name=metric.name,
            comparison_operator=comparison,
            evaluation_periods=periods,
            period=PERIOD_S,
            threshold=threshold,
            statistic=stat,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
            dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions],
            alarm_actions=[policy.policy_arn],
        )
        for side, comparison, threshold, periods in sides
    ]


def _suspensions(state: Json) -> tuple[bool, bool]:
    return bool(state.get("DynamicScalingInSuspended")), bool(state.get("DynamicScalingOutSuspended"))


def _backend(place: Place) -> Any:
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    return applicationautoscaling_backends[place.account][place.region]


def _backends() -> Iterator[tuple[Place, Any]]:
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    for account, regions in list(applicationautoscaling_backends.items()):
        for region, backend in list(regions.items()):
            yield Place(account, region), backend
