"""The action that an operation is, and the ARNs of what it acts on.

Source: the Service Authorization Reference's tables of actions and resource types. An operation that is not
here is taken to have no finer resource than "*", so that only a statement on "*" allows it. Not verified
against a real account: the ARN in which a name is missing (DescribeAlarms without names: `alarm:*`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.local.iam.calls import Call

# Signing names that are not the prefix of the service's actions.
PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
# What nobody needs a permission for.
FREE = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")})
# Actions that are named otherwise than their operations. Source: list_awsbudgetservice.
ACTIONS = {
    ("budgets", "CreateBudget"): "ModifyBudget",
    ("budgets", "UpdateBudget"): "ModifyBudget",
    ("budgets", "DeleteBudget"): "ModifyBudget",
    ("budgets", "DescribeBudget"): "ViewBudget",
    ("budgets", "DescribeBudgets"): "ViewBudget",
    ("budgets", "DescribeNotificationsForBudget"): "ViewBudget",
    ("budgets", "DescribeSubscribersForNotification"): "ViewBudget",
}
# A service's words of CloudWatch Logs: what acts on a group has the ARN of a stream without a name, as its
# refusals show.
_GROUP = "arn:{partition}:logs:{region}:{account}:log-group:{logGroupName}:log-stream:"
_STREAM = "arn:{partition}:logs:{region}:{account}:log-group:{logGroupName}:log-stream:{logStreamName}"
_SAGEMAKER = "arn:{partition}:sagemaker:{region}:{account}:"
_STACK = "arn:{partition}:cloudformation:{region}:{account}:stack/{StackName}/*"
_REPOSITORY = "arn:{partition}:ecr:{region}:{account}:repository/"
_TARGET = "arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/*"
_ALARM = "arn:{partition}:cloudwatch:{region}:{account}:alarm:"
_SCHEDULE = "arn:{partition}:scheduler:{region}:{account}:schedule/{GroupName}/{Name}"
_PROJECT = "arn:{partition}:codebuild:{region}:{account}:project/"
_IAM = "arn:{partition}:iam::{account}:"

_KINDS = {
    "Model": ("model", ("Create", "Describe", "Delete")),
    "EndpointConfig": ("endpoint-config", ("Create", "Describe", "Delete")),
    "Endpoint": ("endpoint", ("Describe", "Delete")),
    "TransformJob": ("transform-job", ("Create", "Describe", "Stop")),
    "TrainingJob": ("training-job", ("Create", "Describe", "Stop", "Update")),
}


def _of(template: str, *operations: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(operations, (template,))


def _sagemaker() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for noun, (kind, verbs) in _KINDS.items():
        found |= _of(f"{_SAGEMAKER}{kind}/{{{noun}Name}}", *(f"{verb}{noun}" for verb in verbs))
    endpoint = f"{_SAGEMAKER}endpoint/{{EndpointName}}"
    both = (endpoint, f"{_SAGEMAKER}endpoint-config/{{EndpointConfigName}}")
    found |= {"CreateEndpoint": both, "UpdateEndpoint": both}
    found |= _of(endpoint, "UpdateEndpointWeightsAndCapacities", "InvokeEndpoint", "InvokeEndpointAsync")
    found |= _of(endpoint, "InvokeEndpointWithResponseStream")
    return found | _of("{ResourceArn}", "AddTags", "DeleteTags", "ListTags")


RESOURCES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sagemaker": _sagemaker(),
    "logs": {
        **_of(_GROUP, "CreateLogGroup", "DeleteLogGroup", "CreateLogStream", "DescribeLogStreams"),
        **_of(_GROUP, "FilterLogEvents", "PutRetentionPolicy", "DeleteRetentionPolicy"),
        **_of(_STREAM, "PutLogEvents", "GetLogEvents", "DeleteLogStream"),
        **_of("arn:{partition}:logs:{region}:{account}:log-group::log-stream:", "DescribeLogGroups"),
        **_of("{resourceArn}", "ListTagsForResource", "TagResource", "UntagResource"),
    },
    "iam": {
        **_of(_IAM + "role/{RoleName}", "GetRole", "CreateRole", "DeleteRole", "UpdateRole", "TagRole"),
        **_of(_IAM + "role/{RoleName}", "PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy"),
        **_of(_IAM + "role/{RoleName}", "ListRolePolicies", "ListAttachedRolePolicies"),
        **_of(_IAM + "role/{RoleName}", "AttachRolePolicy", "DetachRolePolicy"),
        **_of(_IAM + "role/{RoleName}", "UpdateAssumeRolePolicy", "PutRolePermissionsBoundary"),
        **_of(_IAM + "role/aws-service-role/{AWSServiceName}/*", "CreateServiceLinkedRole"),
        **_of(_IAM + "user/{UserName}", "GetUser", "CreateUser", "DeleteUser", "CreateAccessKey"),
        **_of(_IAM + "user/{UserName}", "PutUserPolicy", "GetUserPolicy", "AttachUserPolicy"),
        **_of("{PolicySourceArn}", "SimulatePrincipalPolicy"),
    },
    "sts": _of("{RoleArn}", "AssumeRole"),
    "ecr": {
        **_of(_REPOSITORY + "{repositoryName}", "DescribeImages", "BatchGetImage", "ListImages", "PutImage"),
        **_of(_REPOSITORY + "{repositoryName}", "BatchCheckLayerAvailability", "GetDownloadUrlForLayer"),
        **_of(_REPOSITORY + "{repositoryName}", "InitiateLayerUpload", "UploadLayerPart"),
        **_of(_REPOSITORY + "{repositoryName}", "CompleteLayerUpload", "CreateRepository"),
        **_of(_REPOSITORY + "{repositoryName}", "DeleteRepository", "BatchDeleteImage"),
        **_of(_REPOSITORY + "{repositoryName}", "PutLifecyclePolicy", "GetLifecyclePolicy"),
        **_of(_REPOSITORY + "{repositoryNames}", "DescribeRepositories"),
        **_of("{resourceArn}", "ListTagsForResource", "TagResource", "UntagResource"),
    },
    "cloudformation": _of(
        _STACK,
        *("CreateStack", "UpdateStack", "DeleteStack", "DescribeStacks", "DescribeStackEvents"),
        *("DescribeStackResources", "ListStackResources", "GetTemplate", "GetTemplateSummary"),
        *("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "ListChangeSets"),
    ),
    "codebuild": {
        **_of(_PROJECT + "{projectName}", "StartBuild", "ListBuildsForProject"),
        **_of(_PROJECT + "{id}", "StopBuild"),
        **_of(_PROJECT + "{ids}", "BatchGetBuilds"),
        **_of(_PROJECT + "{names}", "BatchGetProjects"),
        **_of(_PROJECT + "{name}", "CreateProject", "UpdateProject", "DeleteProject"),
    },
    "monitoring": {
        **_of(_ALARM + "{AlarmName}", "PutMetricAlarm", "SetAlarmState"),
        **_of(_ALARM + "{AlarmNames}", "DeleteAlarms", "DescribeAlarms"),
        **_of("{ResourceARN}", "ListTagsForResource", "TagResource", "UntagResource"),
    },
    "application-autoscaling": _of(
        _TARGET,
        *("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy"),
        *("PutScheduledAction", "DeleteScheduledAction"),
    ),
    "scheduler": {
        **_of(_SCHEDULE, "CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule"),
        **_of("{ResourceArn}", "ListTagsForResource", "TagResource", "UntagResource"),
    },
    "budgets": _of(
        "arn:{partition}:budgets::{account}:budget/{BudgetName}",
        *(operation for service, operation in ACTIONS if service == "budgets"),
    ),
}


def action_of(call: Call) -> str:
    """The action as a policy names it: `cloudwatch:PutMetricAlarm`."""
    prefix = PREFIXES.get(call.service, call.service)
    return f"{prefix}:{ACTIONS.get((call.service, call.operation), call.operation or 'Unknown')}"


def of_call(call: Call) -> tuple[str, ...]:
    """The ARNs, each once; `*` for what has none."""
    templates = RESOURCES.get(call.service, {}).get(call.operation, ("*",))
    return tuple(dict.fromkeys(arn for template in templates for arn in _filled(template, call)))


def _filled(template: str, call: Call) -> Iterator[str]:
    known = {"partition": call.partition, "region": call.region, "account": call.account}
    given = _Parameters({"GroupName": "default", **call.parameters, **known})
    if template == _STACK and str(given["StackName"]).startswith("arn:"):
        yield str(given["StackName"])
        return
    lists = [name for name, value in given.items() if isinstance(value, list) and f"{{{name}}}" in template]
    if not lists:
        yield template.format_map(given.simple())
    for name in lists[:1]:
        for value in given[name] or ["*"]:
            yield template.format_map(_Parameters({**given, name: value}).simple())


class _Parameters(dict[str, Any]):
    """A request's parameters; of one that is not there, or is no word, anything may be meant."""

    def __missing__(self, name: str) -> str:
        return "*"

    def simple(self) -> _Parameters:
        """Words alone. A build's id begins with its project's name and a colon."""
        words = {name: value for name, value in self.items() if isinstance(value, str | int)}
        for name in ("id", "ids"):
            if name in words:
                words[name] = str(words[name]).partition(":")[0]
        return _Parameters(words)
