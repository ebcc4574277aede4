"""What a request says: its template, its parameters, and what it allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.local.cloudformation import templates
from infra.local.cloudformation.descriptions import parameters
from infra.local.cloudformation.stacks import Plan
from infra.local.cloudformation.templates import invalid
from infra.local.errors import AwsError

Asked = Mapping[str, Any]
# A template's text in a request. Source: docs.aws.amazon.com, "CloudFormation quotas".
BODY_BYTES = 51_200


def template(asked: Asked) -> templates.Template:
    """The template that the request carries. Raises AwsError ValidationError where it carries none."""
    body = asked.get("TemplateBody", "")
    if not body:
        raise invalid("Either Template URL or Template Body must be specified: the local cloud takes a body")
    if len(body.encode()) > BODY_BYTES:
        raise invalid(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {BODY_BYTES}"
        )
    return templates.parse(body)


def check_capabilities(template: templates.Template, given: list[str]) -> None:
    """Raise InsufficientCapabilitiesException where roles are made and nobody said that they may."""
    roles = [said for said in template.resources.values() if said["Type"].startswith("AWS::IAM::")]
    if not roles or "CAPABILITY_NAMED_IAM" in given:
        return
    named = any("RoleName" in said.get("Properties", {}) for said in roles)
    if named or "CAPABILITY_IAM" not in given:
        needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
        raise AwsError(400, "InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def given(asked: Asked, plan: Plan | None) -> dict[str, str]:
    """The parameters' values as the request has them, or as the stack's plan had them."""
    before = {one["ParameterKey"]: one["ParameterValue"] for one in parameters(plan)}
    found = {}
    for one in asked.get("Parameters", []):
        name = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if name not in before:
                raise invalid(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue")
            found[name] = before[name]
        else:
            found[name] = one.get("ParameterValue", "")
    return found
