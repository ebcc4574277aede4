"""An asynchronous endpoint without instances gets one when a request waits.

The scaling policy that follows a number of each instance has nothing to go by where there is none: an alarm
on what waits without capacity sets off a policy of its own, which adds the first.
Source: docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html, on scaling up from zero
"""

from __future__ import annotations

from typing import Any

from deploy.aws import clients, tagging
from deploy.aws.variants import scaled
from deploy.config import Config

_MINUTES = 2  # in a row, in which requests wait


def requests(config: Config) -> dict[str, Any]:
    """The policy's and the alarm's requests; none where an instance always stays."""
    scaling = config.endpoint.scaling
    if scaling is None or scaling.min:
        return {}
    first = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    policy = {
        **scaled(config),
        "PolicyName": _policy_name(config),
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": scaling.scale_in_s,
            "StepAdjustments": [first],
        },
    }
    alarm = {
        "AlarmName": _alarm_name(config),
        "AlarmDescription": f"a request waits and {config.name} has no instance: it gets one",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Statistic": "Average",
        "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
        "Period": 60,
        "EvaluationPeriods": _MINUTES,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "Tags": tagging.listed(config),
    }
    return {"PutScalingPolicy": policy, "PutMetricAlarm": alarm}


def _policy_name(config: Config) -> str:
    return f"slipway-{config.name}-wake"


def _alarm_name(config: Config) -> str:
    return f"{config.name}-wake"


def make(config: Config, asked: dict[str, Any]) -> None:
    """Set both; the alarm sets off the policy, whose name AWS says."""
    region = config.aws.region
    policy = clients.scaling(region).put_scaling_policy(**asked["PutScalingPolicy"])
    actions = [policy["PolicyARN"]]
    clients.cloudwatch(region).put_metric_alarm(**asked["PutMetricAlarm"], AlarmActions=actions)


def is_there(config: Config) -> bool:
    """Whether the alarm is: it is made last, and deleted first."""
    asked = {"AlarmNames": [_alarm_name(config)], "AlarmTypes": ["MetricAlarm"]}
    return bool(clients.cloudwatch(config.aws.region).describe_alarms(**asked)["MetricAlarms"])


def still(config: Config) -> None:
    """Delete the alarm; CloudWatch says nothing where it is gone."""
    clients.cloudwatch(config.aws.region).delete_alarms(AlarmNames=[_alarm_name(config)])


def forget(config: Config) -> None:
    """Delete the policy. Raises boto3's error where it is gone."""
    clients.scaling(config.aws.region).delete_scaling_policy(
        **scaled(config), PolicyName=_policy_name(config)
    )
