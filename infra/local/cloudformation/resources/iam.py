"""AWS::IAM::Role."""

from __future__ import annotations

import json
from typing import Any

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Kind, Properties, arn


def _create(account: Account, name: str, properties: Properties) -> None:
    # Source: the IAM API's CreateRole; the path is "/" where none is said.
    said = {
        key: properties[key] for key in ("Path", "Description", "MaxSessionDuration") if key in properties
    }
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    account.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, **said)


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    iam = account.client("iam")
    if old:
        trust = json.dumps(new["AssumeRolePolicyDocument"])
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        described = {key: new[key] for key in ("Description", "MaxSessionDuration") if key in new}
        iam.update_role(RoleName=name, **described)
    wanted, there = _policies(new), _policies(old)
    for policy, document in wanted.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    for policy in there.keys() - wanted.keys():
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    attached, before = set(new.get("ManagedPolicyArns", [])), set(old.get("ManagedPolicyArns", []))
    for managed in attached - before:
        iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    for managed in before - attached:
        iam.detach_role_policy(RoleName=name, PolicyArn=managed)


def _policies(properties: Properties) -> dict[str, Any]:
    return {one["PolicyName"]: one["PolicyDocument"] for one in properties.get("Policies", [])}


def _delete(account: Account, name: str, properties: Properties) -> None:
    iam = account.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for managed in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=managed["PolicyArn"])
    iam.delete_role(RoleName=name)


def _tells(account: Account, name: str, properties: Properties) -> dict[str, str]:
    role = account.client("iam").get_role(RoleName=name)["Role"]
    path = properties.get("Path", "/")
    return {"Ref": name, "Arn": arn(account, "iam", f"role{path}{name}", False), "RoleId": role["RoleId"]}


ROLE = Kind(
    frozenset(
        {
            "RoleName",
            "Path",
            "Description",
            "AssumeRolePolicyDocument",
            "Policies",
            "ManagedPolicyArns",
            "MaxSessionDuration",
        }
    ),
    "RoleName",
    frozenset({"RoleName", "Path"}),
    _create,
    _settle,
    _delete,
    _tells,
)
