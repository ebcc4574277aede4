"""How a new version takes an endpoint over: in what parts, under which alarms, on how many instances. Pure.

They go to UpdateEndpoint alone: a first version has nothing to take over. Held against botocore's models and
tried on the local cloud; no real account was asked.
"""

from __future__ import annotations

from typing import Any

from deploy.aws import alarms
from deploy.config import Config
from deploy.sections.endpoint import LONGEST_S, MARGIN_S

_TYPES = {"all-at-once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_SIZES = {"canary": "CanarySize", "linear": "LinearStepSize"}
_STARTS_S = 3600  # for what is not waited for: machines that start, containers that load


def members(config: Config, guarded: bool) -> dict[str, Any]:
    """UpdateEndpoint's members besides the names.

    Where it is not `guarded`, all traffic goes over at once and no alarm is asked: a rollback is made because
    of one.
    """
    return {**(_deployment(config) if guarded else {}), **_retained(config)}


def _deployment(config: Config) -> dict[str, Any]:
    endpoint, watched = config.endpoint, [{"AlarmName": r.name} for r in alarms.desired(config)]
    if endpoint.rollout == "all-at-once" and not endpoint.termination_wait_s and not watched:
        return {}
    size = {"Type": "CAPACITY_PERCENT", "Value": endpoint.percent}
    parts = _SIZES.get(endpoint.rollout)
    routing = {
        "Type": _TYPES[endpoint.rollout],
        "WaitIntervalInSeconds": endpoint.wait_s if parts else 0,
        **({parts: size} if parts else {}),
    }
    update = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": endpoint.termination_wait_s,
        "MaximumExecutionTimeoutInSeconds": max(MARGIN_S, min(LONGEST_S, endpoint.waits_s + _STARTS_S)),
    }
    rollback = {"AutoRollbackConfiguration": {"Alarms": watched}} if watched else {}
    return {"DeploymentConfig": {"BlueGreenUpdatePolicy": update, **rollback}}


def _retained(config: Config) -> dict[str, Any]:
    """The number of instances that autoscaling chose stays; what is captured is as the new version says."""
    if config.endpoint.scaling is None:
        return {}
    excluded = [{"VariantPropertyType": "DataCaptureConfig"}]
    return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}
