"""What a call needs beyond its own action: a role that it hands over, tags that it gives. Pure.

Source: the Service Authorization Reference's dependent actions; API_AddTags; IAM user guide,
id_roles_use_passrole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from infra.local.iam.calls import Call
from infra.local.iam.demands import context, resources
from infra.local.iam.patterns import Context
from infra.local.iam.policies import Demand

_SAGEMAKER, _SCHEDULER = "sagemaker.amazonaws.com", "scheduler.amazonaws.com"
_BUILDS, _STACKS = "codebuild.amazonaws.com", "cloudformation.amazonaws.com"
_SCALING = "application-autoscaling.amazonaws.com"
_SCALED = f"sagemaker.{_SCALING}"  # the principal of its own role for SageMaker
# The parameter that hands a role over, and the service that gets it.
PASSED: dict[tuple[str, str], tuple[str, str]] = {
    ("sagemaker", "CreateModel"): ("ExecutionRoleArn", _SAGEMAKER),
    ("sagemaker", "CreateEndpointConfig"): ("ExecutionRoleArn", _SAGEMAKER),
    ("sagemaker", "CreateTrainingJob"): ("RoleArn", _SAGEMAKER),
    ("scheduler", "CreateSchedule"): ("Target.RoleArn", _SCHEDULER),
    ("scheduler", "UpdateSchedule"): ("Target.RoleArn", _SCHEDULER),
    ("codebuild", "CreateProject"): ("serviceRole", _BUILDS),
    ("codebuild", "UpdateProject"): ("serviceRole", _BUILDS),
    ("codebuild", "StartBuild"): ("serviceRoleOverride", _BUILDS),
    ("cloudformation", "CreateStack"): ("RoleARN", _STACKS),
    ("cloudformation", "CreateChangeSet"): ("RoleARN", _STACKS),
    ("application-autoscaling", "RegisterScalableTarget"): ("RoleARN", _SCALING),
}
# The action that giving tags is, by the service. SageMaker's is asked for on what is made.
TAGGING = {
    "sagemaker": "sagemaker:AddTags",
    "logs": "logs:TagResource",
    "ecr": "ecr:TagResource",
    "monitoring": "cloudwatch:TagResource",
    "application-autoscaling": "application-autoscaling:TagResource",
    "cloudformation": "cloudformation:TagResource",
    "budgets": "budgets:TagResource",
}
_ROLE_TAGGING = {"CreateRole": "iam:TagRole", "CreateUser": "iam:TagUser", "CreatePolicy": "iam:TagPolicy"}


def of_call(call: Call, about: Context) -> Iterator[Demand]:
    """The further demands of the call; `about` is the context of its own."""
    if passed := PASSED.get((call.service, call.operation)):
        role, service = _at(call.parameters, passed[0]), passed[1]
        if role:
            yield Demand("iam:PassRole", str(role), {"iam:passedtoservice": (service,)})
    action = TAGGING.get(call.service) or _ROLE_TAGGING.get(call.operation)
    if action and dict(context.tags_of(call)) and action != resources.action_of(call):
        for arn in _made(call):
            yield Demand(action, arn, about)
    if call.service == "application-autoscaling":
        yield from _of_scaling(call)


def _of_scaling(call: Call) -> Iterator[Demand]:
    """What Application Auto Scaling does for whoever asks it: its own role, and the alarms it scales by.

    AWS wants the first once, before there is that role in an account; here it wants it each time.
    Source: Application Auto Scaling's user guide, security_iam_id-based-policy-examples.
    """
    if call.operation == "RegisterScalableTarget" and call.parameters.get("ServiceNamespace") == "sagemaker":
        name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        role = f"role/aws-service-role/{_SCALED}/{name}"
        arn = f"arn:{call.partition}:iam::{call.account}:{role}"
        yield Demand("iam:CreateServiceLinkedRole", arn, {"iam:awsservicename": (_SCALED,)})
    action = {"PutScalingPolicy": "PutMetricAlarm", "DeleteScalingPolicy": "DeleteAlarms"}.get(call.operation)
    if action:
        alarm = f"TargetTracking-{call.parameters.get('ResourceId', '*')}-*"
        place = f"arn:{call.partition}:cloudwatch:{call.region}:{call.account}"
        yield Demand(f"cloudwatch:{action}", f"{place}:alarm:{alarm}")


def _made(call: Call) -> tuple[str, ...]:
    """What the tags are given to: of CreateEndpoint the endpoint alone, not its configuration."""
    arns = resources.of_call(replace(call, context={}))
    return arns[:1]


def _at(parameters: Any, path: str) -> Any:
    for name in path.split("."):
        parameters = parameters.get(name) if isinstance(parameters, dict) else None
    return parameters
