"""CloudWatch alarms on the endpoint: while a new version comes, one that goes off puts the old one back.

A name carries the digest of what it watches, so an alarm is never edited.
Source: docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, on invocation metrics
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deploy.aws import clients, tagging
from deploy.aws.inventory import OWNER_TAG
from deploy.aws.variants import VARIANT
from deploy.config import Config
from deploy.plan import Resource, Seen, versioned
from deploy.target import Say

KIND = "alarm"
KINDS = ("errors", "error-percent", "p99")
_EACH = 60  # seconds of a measurement


def desired(config: Config) -> list[Resource]:
    """An alarm for each number that deploy.toml gives."""
    asked = config.endpoint.alarms
    if asked is None:
        return []
    found = []
    if asked.errors is not None:
        found.append(_alarm(config, "errors", _errors("Sum", asked.errors)))
    if asked.error_percent is not None:
        # The metric is 1 or 0 for each request: its average is the share.
        found.append(_alarm(config, "error-percent", _errors("Average", asked.error_percent / 100)))
    if asked.p99_ms is not None:
        # ModelLatency is in microseconds.
        slow = {"MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Threshold": asked.p99_ms * 1000}
        found.append(_alarm(config, "p99", slow))
    return found


def _errors(statistic: str, threshold: float) -> dict[str, Any]:
    return {"MetricName": "Invocation5XXErrors", "Statistic": statistic, "Threshold": float(threshold)}


def _alarm(config: Config, kind: str, watched: dict[str, Any]) -> Resource:
    asked = config.endpoint.alarms
    endpoint = {"EndpointName": config.name, "VariantName": VARIANT}
    alarm = {
        "AlarmDescription": f"{kind} of the endpoint {config.name}: a new version is put back",
        "Namespace": "AWS/SageMaker",
        **watched,
        "Dimensions": [{"Name": name, "Value": value} for name, value in endpoint.items()],
        "Period": _EACH,
        "EvaluationPeriods": asked.minutes if asked else 1,
        "ComparisonOperator": "GreaterThanThreshold",
        # Where nobody asks, nothing is wrong.
        "TreatMissingData": "notBreaching",
    }
    name = versioned(f"{config.name}-{kind}", alarm)
    return Resource(KIND, name, params={"AlarmName": name, **alarm, "Tags": tagging.listed(config)})


def observed(config: Config) -> list[Resource]:
    """The alarms of these names; without the tag they are somebody else's."""
    cloudwatch = clients.cloudwatch(config.aws.region)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{config.name}-", AlarmTypes=["MetricAlarm"]
    )
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    ours = [alarm for alarm in alarms if is_alarm(config.name, alarm["AlarmName"])]
    return [Resource(KIND, one["AlarmName"], seen=Seen(ours=_is_tagged(config, one))) for one in ours]


def is_alarm(name: str, alarm: str) -> bool:
    """Whether a deployment of this name could have made it."""
    return re.fullmatch(rf"{re.escape(name)}-({'|'.join(KINDS)})-[0-9a-f]{{12}}", alarm) is not None


def _is_tagged(config: Config, alarm: Any) -> bool:
    cloudwatch = clients.cloudwatch(config.aws.region)
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}.get(OWNER_TAG) == config.name


def make(config: Config, resource: Resource, say: Say) -> None:
    """Create it; one of this name that is there is the same."""
    clients.cloudwatch(config.aws.region).put_metric_alarm(**resource.params)


def remove(config: Config, resource: Resource) -> None:
    """Delete it; CloudWatch says nothing where it is gone."""
    clients.cloudwatch(config.aws.region).delete_alarms(AlarmNames=[resource.name])


def went_off(config: Config, update: Mapping[str, Any]) -> list[str]:
    """Which of the alarms that UpdateEndpoint was given are in alarm, each with CloudWatch's own reason."""
    watched = update.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
    if not watched:
        return []
    names = [alarm["AlarmName"] for alarm in watched]
    found = clients.cloudwatch(config.aws.region).describe_alarms(AlarmNames=names)["MetricAlarms"]
    return [
        f"alarm {one['AlarmName']} went off: {one.get('StateReason') or 'CloudWatch gives no reason'}"
        for one in found
        if one["StateValue"] == "ALARM"
    ]
