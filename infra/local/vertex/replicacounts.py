"""How many replicas a deployed model shall have, by the CPU utilisation of those that it has. Pure.

Every 15 seconds the utilisation just measured gives a target, and the highest target of the last five
minutes is what shall run: replicas come within a cycle and go after five quiet minutes. CPU counts at 60 %
unless autoscalingMetricSpecs says another target; metrics of other names are recorded and decide nothing.

Sources: docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/predictions/autoscaling (once
cloud.google.com/vertex-ai/docs/predictions/autoscaling), "Target utilization and configuration" and "Scaling
behavior and lag"; the messages DedicatedResources and AutoscalingMetricSpec.

Not verified: by which percentage the utilisation must deviate from its target before anything changes (the
message says that it must; here by none), how replicas that start count (here not), whether CPU still counts
where other metrics alone are named (here it does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from infra.local.autoscaling.capacities import Bounds, at_target

Json = Mapping[str, Any]
Replica = TypeVar("Replica")
CYCLE_S, WINDOW_S = 15.0, 300.0
CPU = "aiplatform.googleapis.com/prediction/online/cpu/utilization"
TARGET_PERCENT = 60


@dataclass(frozen=True)
class Sample:
    """What a replica's processes have used until `at`, both in seconds; `pid` is another after a restart."""

    pid: int
    at: float
    cpu_s: float


@dataclass(frozen=True)
class Target:
    """How many replicas a cycle's utilisation asked for, and when, in seconds of the same clock."""

    at: float
    count: int


def bounds_of(resources: Json) -> Bounds:
    """The least and the most replicas of DedicatedResources whose numbers are filled in."""
    return Bounds(resources["minReplicaCount"], resources["maxReplicaCount"])


def cpu_target(resources: Json) -> float:
    """The utilisation that is aimed at, a share of one."""
    named = {one["metricName"]: one.get("target", 0) for one in resources.get("autoscalingMetricSpecs", ())}
    return (named.get(CPU, 0) or TARGET_PERCENT) / 100


def utilisations(before: Mapping[Replica, Sample], now: Mapping[Replica, Sample], cores: int) -> list[float]:
    """What share of the machine each replica used between two samples: of those alone that have both."""
    found = []
    for replica, last in now.items():
        first = before.get(replica)
        if first and first.pid == last.pid and first.at < last.at:
            share = (last.cpu_s - first.cpu_s) / ((last.at - first.at) * cores)
            found.append(min(max(share, 0.0), 1.0))
    return found


def wanted(shares: Sequence[float], target: float) -> int:
    """The number at which so much work, shared among so many, would be at the target. Not held in bounds."""
    return at_target(len(shares), sum(shares) / len(shares), target)


def within(targets: Sequence[Target], since: float) -> tuple[Target, ...]:
    """Those that still count."""
    return tuple(one for one in targets if one.at >= since)


def decided(targets: Sequence[Target], bounds: Bounds, current: int) -> int:
    """The highest of them within the bounds; the current number within them where there is none."""
    return bounds.hold(max((one.count for one in targets), default=current))
