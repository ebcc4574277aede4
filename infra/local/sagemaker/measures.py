"""What an endpoint tells CloudWatch of each request.

Source: developer guide, monitoring-cloudwatch, "SageMaker Endpoint Invocation Metrics", and
deployment-guardrails-configuration for the dimension EndpointConfigName.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from infra.local.cloudwatch import CloudWatch, Measurements
from infra.local.sagemaker.fleets import Place

MICROSECONDS = 1e6
NONE = "None"
# Source: developer guide, async-inference-monitor.
NOT_WITH_A_QUEUE = ("Invocations", "InvocationsPerInstance", "OverheadLatency")


@dataclass
class Timing:
    """One request to one container as it goes on. `status` is the container's, 0 while it gave none."""

    began: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    answered: float = 0.0
    status: int = 0


def publish(cloudwatch: CloudWatch, place: Place, timing: Timing, is_queued: bool = False) -> None:
    """Publishes the request's metrics for the variant, and for the variant under this configuration."""
    owner = place.container.spec.owner
    variant = (("EndpointName", owner.name), ("VariantName", owner.variant))
    values = measurements(timing, time.monotonic(), len(place.group.containers))
    if is_queued:
        values = {key: value for key, value in values.items() if key[0] not in NOT_WITH_A_QUEUE}
    caller = place.container.spec.caller
    cloudwatch.publish(caller, variant, values)
    cloudwatch.publish(caller, (*variant, ("EndpointConfigName", place.group.config)), values)


def measurements(timing: Timing, now: float, instances: int) -> Measurements:
    """The metrics of a request to one of so many instances. Errors are 0 or 1, so that an average is a rate.

    A container that did not answer counts in InvocationModelErrors alone: 5XX is what "the model returned".
    """
    model_s = (timing.answered or now) - timing.asked if timing.asked else 0.0
    family = timing.status // 100
    return {
        ("Invocations", NONE): 1.0,
        ("InvocationsPerInstance", NONE): 1.0 / max(instances, 1),
        ("Invocation4XXErrors", NONE): float(family == 4),
        ("Invocation5XXErrors", NONE): float(family == 5),
        ("InvocationModelErrors", NONE): float(family != 2),
        ("ModelLatency", "Microseconds"): model_s * MICROSECONDS,
        ("OverheadLatency", "Microseconds"): max(now - timing.began - model_s, 0.0) * MICROSECONDS,
    }
