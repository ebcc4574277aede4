"""One update of an endpoint: traffic goes to the new fleet step by step, and back where an alarm goes off.

Not verified: SageMaker's FailureReason after a rollback, and how long it stays RollingBack.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from infra.local.cloudwatch import CloudWatch
from infra.local.sagemaker import fleets
from infra.local.sagemaker.containers import StartFailed
from infra.local.sagemaker.fleets import Fleet, Group
from infra.local.sagemaker.launches import STOPPING, Launches
from infra.local.sagemaker.shifting import Step
from infra.local.sagemaker.states import Endpoint, Rollout, Stage

POLL_S = 0.02  # between looks at the alarms
TRIPPED = "The deployment was rolled back: alarms of its auto-rollback configuration went off: {names}."
TIMED_OUT = "The deployment was rolled back: it did not finish within {limit:.0f} seconds."


class Abandoned(Exception):
    """The update shall be undone; the message is the endpoint's FailureReason."""


class Move(Protocol):
    """Brings an endpoint into its next state, or to another stage of the same one."""

    def __call__(self, endpoint: Endpoint, status: str, **changes: Any) -> Endpoint:
        """The endpoint then."""
        ...


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a shift works with."""

    launches: Launches
    cloudwatch: CloudWatch
    move: Move
    time_scale: float
    at_least_s: float  # that a new fleet takes to start


class Shift:
    """An update under way. `endpoint` is how it is now, `green` what runs of the new version."""

    def __init__(self, tools: Tools, endpoint: Endpoint, rollout: Rollout) -> None:
        self.endpoint, self.green = endpoint, {}  # type: Endpoint, Fleet
        self._tools, self._rollout, self._before = tools, rollout, endpoint.fleet
        self._spent_s = 0.0  # as the platform counts: waits unscaled

    def forward(self) -> None:
        """All traffic on the new fleet. Raises StartFailed or Abandoned, and `back` is to be called then."""
        plan = self._rollout.plan
        if not plan.is_rolling:
            self._launch(partial(self._tools.launches.fleet, self._rollout, self._tools.at_least_s))
        for step in plan.steps:
            if plan.is_rolling:
                self._launch(partial(self._batch, step))
            self._activate(step)
            self._bake(step)
            if plan.is_rolling:
                self._reduce(step)

    def back(self, failure: str) -> None:
        """All traffic on the old fleet, which is as large again as it was; nothing of the new one is left."""
        move, launches = self._tools.move, self._tools.launches
        before = {name: group.variant for name, group in self._before.items()}
        back = move(self.endpoint, "RollingBack", failure=failure, desired=before)
        try:
            blue = {name: self._restored(name, group) for name, group in back.fleet.items()}
        except StartFailed:  # a mix of both versions serves. Source: API_DescribeEndpoint, EndpointStatus
            move(back, "UpdateRollbackFailed")
            return
        back = move(back, "RollingBack", fleet=blue, pending=None)
        launches.retire_fleet(self.green)
        # SageMaker reports a failed update InService, on the old configuration: only what is served tells.
        move(back, "InService" if fleets.is_healthy(blue) else "UpdateRollbackFailed")

    def _launch(self, start: Callable[[], Fleet]) -> None:
        began = time.monotonic()
        self.green = start()
        self._spent_s += time.monotonic() - began

    def _batch(self, step: Step) -> Fleet:
        return {one.name: self._grown(one.name, step.instances) for one in self._rollout.variants}

    def _grown(self, name: str, count: int) -> Group:
        (variant,) = (one for one in self._rollout.variants if one.name == name)
        have = self.green[name].containers if name in self.green else ()
        containers = self._tools.launches.grown(variant, have, count)
        return Group(variant, variant.weight, containers, self._rollout.since, self._rollout.config)

    def _restored(self, name: str, group: Group) -> Group:
        count = len(self._before[name].containers)
        containers = self._tools.launches.grown(group.variant, group.containers, count)
        return dataclasses.replace(group, containers=containers)

    def _activate(self, step: Step) -> None:
        stage = Stage("ActivatingTraffic", f"Activating traffic on {step.capacity}.", time.time())
        if step.bake_s:
            wait = f"{step.bake_s:.0f} seconds ({step.named})"
            text = f"Baking for {wait} with traffic enabled on {step.capacity}."
            stage = Stage("Baking", text, time.time())
        active = self.green if step.share >= 1 else fleets.first(self.green, step.instances)
        pending = dataclasses.replace(self._rollout, stage=stage, fleet=active, share=step.share)
        self.endpoint = self._tools.move(self.endpoint, "Updating", pending=pending)

    def _bake(self, step: Step) -> None:
        began, scale = time.monotonic(), self._tools.time_scale
        while (elapsed := (time.monotonic() - began) / scale) < step.bake_s:
            self._look_at_alarms()
            self._look_at_time(elapsed)
            if self._tools.launches.closed.wait(min(POLL_S, (step.bake_s - elapsed) * scale)):
                raise Abandoned(STOPPING)
        self._spent_s += step.bake_s
        self._look_at_time(0.0)
        if step.bake_s:
            self._look_at_alarms()

    def _look_at_time(self, more_s: float) -> None:
        limit = self._rollout.plan.limit_s
        if self._spent_s + more_s > limit:
            raise Abandoned(TIMED_OUT.format(limit=limit))

    def _look_at_alarms(self) -> None:
        state_of, caller = self._tools.cloudwatch.state_of, self.endpoint.caller
        tripped = [name for name in self._rollout.plan.alarms if state_of(caller, name) == "ALARM"]
        if tripped:
            raise Abandoned(TRIPPED.format(names=", ".join(tripped)))

    def _reduce(self, step: Step) -> None:
        """Ends as large a part of the old fleet as has been taken over."""
        kept = _kept(self._before, step.share)
        blue = {name: self._first(name, kept[name]) for name in self.endpoint.fleet}
        leaving = fleets.containers_of(self.endpoint.fleet) - fleets.containers_of(blue)
        self.endpoint = self._tools.move(self.endpoint, "Updating", fleet=blue)
        self._tools.launches.retire(leaving)

    def _first(self, name: str, count: int) -> Group:
        group = self.endpoint.fleet[name]
        return dataclasses.replace(group, containers=group.containers[:count])


def _kept(fleet: Fleet, share: float) -> Mapping[str, int]:
    return {name: math.ceil(len(one.containers) * (1 - share) - 1e-9) for name, one in fleet.items()}
