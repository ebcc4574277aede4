"""Execution roles, as a test makes them."""

import json
from typing import Any

from infra.local.roles import RIGHTS


def make_role(iam: Any, name: str, service: str = "sagemaker.amazonaws.com", without: str = "") -> str:
    """Makes a role that the service may assume, with the rights that a local account's has; its ARN.

    `without` is an action that it is not allowed.
    """
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    statements = [_without(one, without) for one in RIGHTS["Statement"]]
    rights = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=rights)
    return str(made["Role"]["Arn"])


def _without(statement: dict[str, Any], action: str) -> dict[str, Any]:
    return {**statement, "Action": [one for one in statement["Action"] if one != action]}
