"""What conditions may ask of a call: its tags, its instance types, what else its parameters say. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.local.iam.calls import Call
from infra.local.iam.patterns import Context

# Where a parameter is the value of a condition key; a list has several.
_GIVEN = {
    "sagemaker": {
        "sagemaker:networkisolation": "EnableNetworkIsolation",
        "sagemaker:intercontainertrafficencryption": "EnableInterContainerTrafficEncryption",
        "sagemaker:volumekmskey": "KmsKeyId",
    },
    "application-autoscaling": {
        "application-autoscaling:service-namespace": "ServiceNamespace",
        "application-autoscaling:scalable-dimension": "ScalableDimension",
    },
    "monitoring": {"cloudwatch:namespace": "Namespace"},
    "sts": {"sts:externalid": "ExternalId", "sts:rolesessionname": "RoleSessionName"},
    "iam": {"iam:awsservicename": "AWSServiceName", "iam:permissionsboundary": "PermissionsBoundary"},
    "cloudformation": {"cloudformation:rolearn": "RoleARN", "cloudformation:changesetname": "ChangeSetName"},
}
_TAGS = ("Tags", "tags")


def of_call(call: Call) -> Context:
    """The context of the call's demands, without what every request has (see `authority`)."""
    found = dict(call.context)
    for key, parameter in _GIVEN.get(call.service, {}).items():
        if parameter in call.parameters:
            found[key] = (_text(call.parameters[parameter]),)
    if tags := dict(tags_of(call)):
        found |= {f"aws:requesttag/{name.lower()}": (value,) for name, value in tags.items()}
        found["aws:tagkeys"] = tuple(tags)
    if call.service == "sagemaker":
        found |= _of_sagemaker(call)
    return found


def tags_of(call: Call) -> Iterator[tuple[str, str]]:
    """The tags that the request gives, whichever form its service has for them."""
    for parameter in _TAGS:
        given = call.parameters.get(parameter)
        if isinstance(given, dict):
            yield from ((str(name), str(value)) for name, value in given.items())
        for one in given if isinstance(given, list) else ():
            if isinstance(one, dict):
                word = {str(name).lower(): str(value) for name, value in one.items()}
                yield word.get("key", ""), word.get("value", "")


def _of_sagemaker(call: Call) -> Context:
    found: dict[str, tuple[str, ...]] = {}
    variants = _dicts(call.parameters.get("ProductionVariants"))
    places = [*variants, *_dicts([call.parameters.get("ResourceConfig")])]
    places += _dicts([call.parameters.get("TransformResources")])
    types = [str(one["InstanceType"]) for one in places if one.get("InstanceType")]
    if types:
        found["sagemaker:instancetypes"] = tuple(dict.fromkeys(types))
    models = [str(one["ModelName"]) for one in variants if one.get("ModelName")]
    if models:
        prefix = f"arn:{call.partition}:sagemaker:{call.region}:{call.account}:model/"
        found["sagemaker:modelarn"] = tuple(prefix + name for name in dict.fromkeys(models))
    for serverless in _dicts([one.get("ServerlessConfig") for one in variants]):
        found["sagemaker:serverlessmaxconcurrency"] = (_text(serverless.get("MaxConcurrency", "")),)
        found["sagemaker:serverlessmemorysize"] = (_text(serverless.get("MemorySizeInMB", "")),)
    return found


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
