"""How an update shifts traffic from the old fleet to the new: a DeploymentConfig as steps. Pure.

Source: SageMaker developer guide, deployment-guardrails-blue-green-* and -rolling; API_DeploymentConfig.
Between two steps is WaitIntervalInSeconds, after the last TerminationWaitInSeconds: the guide's event says of
the time in which all traffic is on the new fleet that it bakes for TerminationWaitInSeconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.sagemaker.checks import refusal

Json = Mapping[str, Any]
# The least and the most of a fleet that one step may be, in percent.
CANARY, LINEAR, ROLLING = (1, 50), (10, 50), (5, 50)
PLACE = "deploymentConfig"


@dataclass(frozen=True)
class Step:
    """After it `share` of the traffic is on `instances` of the new fleet, for `bake_s` (unscaled) seconds."""

    share: float
    instances: int
    bake_s: float
    named: str  # the member that says how long

    @property
    def capacity(self) -> str:
        """What of the new fleet has traffic, in the words of SageMaker's deployment events."""
        size = "full" if self.share >= 1 else "canary"
        return f"{size} capacity of {self.instances} instance(s)"


@dataclass(frozen=True)
class Plan:
    """The steps of an update, the alarms that end it, and the longest it may take (unscaled seconds).

    `is_rolling`: new instances are started, and old ones ended, with each step and not before and after all.
    """

    steps: tuple[Step, ...]
    alarms: tuple[str, ...] = ()
    limit_s: float = math.inf
    is_rolling: bool = False


def plan_of(config: Json | None, count: int) -> Plan:
    """The plan of a (checked) DeploymentConfig for a fleet of `count` instances; None is all at once."""
    config = config or {}
    alarms = tuple(
        one["AlarmName"] for one in (config.get("AutoRollbackConfiguration") or {}).get("Alarms", ())
    )
    if rolling := config.get("RollingUpdatePolicy"):
        wait = rolling["WaitIntervalInSeconds"]
        steps = [
            Step(min(batch / count, 1.0), batch, wait, "WaitIntervalInSeconds")
            for batch in _batches(_instances(rolling["MaximumBatchSize"], count), count)
        ]
        return Plan(tuple(steps), alarms, _limit(rolling), is_rolling=True)
    policy = config.get("BlueGreenUpdatePolicy")
    if not policy:
        return Plan((_last({}, count),), alarms)
    routing = policy["TrafficRoutingConfiguration"]
    wait = routing["WaitIntervalInSeconds"]
    steps = [
        Step(share, max(1, math.ceil(share * count)), wait, "WaitIntervalInSeconds")
        for share in _shares(routing, count)
    ]
    return Plan((*steps, _last(policy, count)), alarms, _limit(policy))


def alarms_of(config: Json) -> tuple[str, ...]:
    """The names of the alarms that end the update."""
    given = (config.get("AutoRollbackConfiguration") or {}).get("Alarms", ())
    return tuple(one["AlarmName"] for one in given)


def check(config: Json, count: int) -> None:
    """Refuses what API_DeploymentConfig rules out and the service's model does not; the words are ours."""
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise refusal(f"{PLACE}: only one of blueGreenUpdatePolicy and rollingUpdatePolicy may be given.")
    if blue_green:
        _check_blue_green(blue_green, count)
    if rolling:
        place = f"{PLACE}.rollingUpdatePolicy"
        _check_size(rolling["MaximumBatchSize"], f"{place}.maximumBatchSize", ROLLING, count)
    waited = sum(step.bake_s for step in plan_of(config, count).steps)
    if (limit := _limit(blue_green or rolling or {})) < waited:
        raise refusal(
            f"{PLACE}: maximumExecutionTimeoutInSeconds is {limit:.0f}, less than the {waited:.0f} seconds "
            "that the deployment waits in all."
        )


def _check_blue_green(policy: Json, count: int) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    place = f"{PLACE}.blueGreenUpdatePolicy.trafficRoutingConfiguration"
    needed = {"CANARY": ("CanarySize", CANARY), "LINEAR": ("LinearStepSize", LINEAR)}
    for kind, (member, bounds) in needed.items():
        name = member[0].lower() + member[1:]
        if routing["Type"] != kind and routing.get(member):
            raise refusal(f"{place}.{name}: only for the type {kind}, not {routing['Type']}.")
        if routing["Type"] == kind:
            if not routing.get(member):
                raise refusal(f"{place}.{name}: needed for the type {kind}.")
            _check_size(routing[member], f"{place}.{name}", bounds, count)


def _check_size(size: Json, place: str, bounds: tuple[int, int], count: int) -> None:
    least, most = bounds
    value = size["Value"]
    percent = value if size["Type"] == "CAPACITY_PERCENT" else 100 * value / count
    if not least <= percent <= most:
        of = "" if size["Type"] == "CAPACITY_PERCENT" else f" of {count} instances"
        raise refusal(
            f"{place}: {value} {size['Type']}{of} is {percent:.0f}% of the fleet, not {least} to {most}%."
        )


def _shares(routing: Json, count: int) -> list[float]:
    """The shares of traffic before the last step, which is all of it."""
    if routing["Type"] == "CANARY":
        return [_share(routing["CanarySize"], count)]
    if routing["Type"] == "LINEAR":
        step = _share(routing["LinearStepSize"], count)
        return [step * n for n in range(1, math.ceil(1 / step - 1e-9))]
    return []


def _share(size: Json, count: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return float(size["Value"]) / 100
    return float(size["Value"]) / count


def _instances(size: Json, count: int) -> int:
    return max(1, math.ceil(_share(size, count) * count - 1e-9))


def _batches(size: int, count: int) -> Iterator[int]:
    yield from range(size, count, size)
    yield count


def _last(policy: Json, count: int) -> Step:
    return Step(1.0, count, policy.get("TerminationWaitInSeconds", 0), "TerminationWaitInSeconds")


def _limit(policy: Json) -> float:
    return float(policy.get("MaximumExecutionTimeoutInSeconds", math.inf))
