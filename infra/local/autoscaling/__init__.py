"""Application Auto Scaling made true for endpoint variants: moto keeps the records, instances come and go.

Scheduled actions are recorded and do nothing, DescribeScalingActivities is not there. The texts are ours.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from infra.local.autoscaling import capacities, targets
from infra.local.autoscaling.targets import DIMENSION, PERIOD_S, RESOURCE, Target
from infra.local.cloud import Caller, Operation
from infra.local.cloudwatch import moto_metrics
from infra.local.cloudwatch.moto_metrics import Place
from infra.local.cloudwatch.samples import Metric, statistic
from infra.local.errors import AwsError, as_json
from infra.local.records import Question, Records, Reply

Json = dict[str, Any]
PREFIX = "AnyScaleFrontendService."
COOLDOWN_S = 300.0  # of SageMaker's variants, where a policy sets none
TICKS_A_PERIOD = 12
log = logging.getLogger(__name__)


class Autoscaling:
    """The service, and the thread that scales. `operations` are SageMaker's."""

    def __init__(self, records: Records, operations: Mapping[str, Operation]) -> None:
        targets.let_policies_make_alarms()
        self._records, self._operations = records, operations
        self._scale = records.settings.time_scale
        self._scaled: dict[tuple[Place, str], float] = {}  # when each resource was last scaled
        tick_s = min(1.0, PERIOD_S * self._scale / TICKS_A_PERIOD)
        threading.Thread(target=self._watch, args=(tick_s,), name="autoscaling", daemon=True).start()

    def answer(self, caller: Caller, question: Question) -> Reply:
        """The answer to a request; blocks."""
        headers = dict(question.headers)
        operation = headers.get("x-amz-target", "").removeprefix(PREFIX)
        body = question.body.read()
        question.body.seek(0)
        try:
            asked = json.loads(body or b"{}")
            place = Place(caller.account, caller.region)
            if asked.get("ScalableDimension") == DIMENSION:
                self._check(caller, operation, asked)
            if operation == "PutScalingPolicy":  # another of that name goes with its alarms
                targets.forget_policies(place, asked.get("ResourceId", ""), asked.get("PolicyName", ""))
            reply = self._records.ask(caller, "application-autoscaling", question)
            if operation == "DeregisterScalableTarget" and reply.status == 200:
                targets.forget_policies(place, asked["ResourceId"])
        except (AwsError, ValueError) as error:
            refused = error if isinstance(error, AwsError) else _refusal(str(error))
            said = as_json(refused)
            return Reply(said.status, list(said.headers), [said.body])
        return reply

    def _check(self, caller: Caller, operation: str, asked: Json) -> None:
        resource = asked.get("ResourceId", "")
        match = RESOURCE.fullmatch(resource)
        place = Place(caller.account, caller.region)
        if operation == "RegisterScalableTarget" and match:
            self._check_capacities(caller, asked, match["endpoint"], match["variant"])
        if operation == "PutScalingPolicy" and targets.find(place, resource) is None:
            where = f"service namespace: sagemaker, resource ID: {resource}, scalable dimension: {DIMENSION}"
            raise AwsError(400, "ObjectNotFoundException", f"No scalable target registered for {where}")

    def _check_capacities(self, caller: Caller, asked: Json, endpoint: str, variant: str) -> None:
        known = targets.find(Place(caller.account, caller.region), asked["ResourceId"])
        least = asked.get("MinCapacity", known.bounds.least if known else None)
        most = asked.get("MaxCapacity", known.bounds.most if known else None)
        if least is None or most is None:
            raise _refusal("MinCapacity and MaxCapacity are needed to register a scalable target.")
        if least > most:
            raise _refusal("Maximum capacity cannot be less than minimum capacity")
        described = self._operations["DescribeEndpoint"](caller, {"EndpointName": endpoint})
        lines = [one for one in described.get("ProductionVariants", ()) if one["VariantName"] == variant]
        if not lines:
            raise _refusal(f"Could not find variant {variant} of endpoint {endpoint}.")
        if "CurrentInstanceCount" not in lines[0]:
            raise _refusal(f"{asked['ResourceId']} is serverless and has no {DIMENSION}.")
        # Source: developer guide, endpoint-auto-scaling-zero-instances: only with inference components;
        # async-inference-autoscale: MinCapacity 0.
        if not least and "AsyncInferenceConfig" not in described:
            raise _refusal(
                f"MinCapacity 0 of {asked['ResourceId']}: only an asynchronous endpoint, or one that hosts "
                "inference components, scales to zero instances."
            )

    def _watch(self, tick_s: float) -> None:
        while True:
            time.sleep(tick_s)
            for target in targets.targets():
                try:
                    self._look_at(target)
                except AwsError as error:  # it is gone, or was updated in this moment
                    log.info("%s is not scaled: %s", target.resource, error.message)
                except Exception:
                    log.exception("%s is not scaled", target.resource)

    def _look_at(self, target: Target) -> None:
        caller = Caller(target.place.account, target.place.region)
        described = self._operations["DescribeEndpoint"](caller, {"EndpointName": target.endpoint})
        if described["EndpointStatus"] != "InService":
            return
        (line,) = [one for one in described["ProductionVariants"] if one["VariantName"] == target.variant]
        current = line["CurrentInstanceCount"]
        wanted = target.bounds.hold(current)
        if not target.is_suspended:
            said = [self._wanted(target, one, wanted) for one in targets.policies(target)]
            wanted = max((one for one in said if one is not None), default=wanted)
        if wanted != current:
            self._set(caller, target, wanted)

    def _wanted(self, target: Target, policy: Any, current: int) -> int | None:
        """What the policy would have, within the bounds; None where it has nothing to say.

        Of several the largest counts, and one that tracks a target and is content wants it as it is. Source:
        Application Auto Scaling User Guide, "Multiple scaling policies".
        """
        is_tracking = policy.policy_type == "TargetTrackingScaling"
        wanted, cooldown = (self._tracked if is_tracking else self._stepped)(target, policy, current)
        if wanted is None:
            return None
        since = time.monotonic() - self._scaled.get((target.place, target.resource), float("-inf"))
        return current if since < cooldown * self._scale else target.bounds.hold(wanted)

    def _tracked(self, target: Target, policy: Any, current: int) -> tuple[int | None, float]:
        config = policy.target_tracking_scaling_policy_configuration
        found = targets.metric_of(config, target.resource)
        ringing = [one for one in policy.alarms if one.state_value == "ALARM"]
        value = self._measured(target.place, *found) if found and ringing else None
        if value is None:
            return current, 0.0
        is_high = ringing[0].comparison_operator.startswith("Greater")
        if not is_high and config.get("DisableScaleIn"):
            return current, 0.0
        cooldown = config.get("ScaleOutCooldown" if is_high else "ScaleInCooldown", COOLDOWN_S)
        return capacities.tracked(current, value, float(config["TargetValue"]), is_high), cooldown

    def _stepped(self, target: Target, policy: Any, current: int) -> tuple[int | None, float]:
        config = policy.step_scaling_policy_configuration
        for place, alarm in moto_metrics.alarms():
            if place != target.place or policy.policy_arn not in alarm.alarm_actions:
                continue
            if alarm.state_value == "ALARM":
                value = self._measured(place, moto_metrics.metric_of(alarm), alarm.statistic)
                over = (value if value is not None else alarm.threshold) - alarm.threshold
                return capacities.stepped(current, over, config), config.get("Cooldown", COOLDOWN_S)
        return None, 0.0

    def _measured(self, place: Place, metric: Metric, stat: str) -> float | None:
        """The metric over the last minute that is whole."""
        length = PERIOD_S * self._scale
        end = int(time.time() / length) * length
        found = moto_metrics.samples(place, metric, end - length, end)
        return statistic(stat, [one.gathered for one in found])

    def _set(self, caller: Caller, target: Target, count: int) -> None:
        asked = {"VariantName": target.variant, "DesiredInstanceCount": count}
        request = {"EndpointName": target.endpoint, "DesiredWeightsAndCapacities": [asked]}
        self._operations["UpdateEndpointWeightsAndCapacities"](caller, request)
        self._scaled[target.place, target.resource] = time.monotonic()
        log.info("%s is scaled to %d instances", target.resource, count)


def _refusal(message: str) -> AwsError:
    return AwsError(400, "ValidationException", message)
