"""AWS::CodeBuild::Project."""

from __future__ import annotations

from typing import Any

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Kind, Properties, arn, camel

# Source: CodeBuild's CreateProject, which writes this one otherwise.
_SPELLED = {"BuildSpec": "buildspec"}


def _asked(name: str, properties: Properties) -> dict[str, Any]:
    """CreateProject's parameters."""
    asked = camel(dict(properties), _SPELLED)
    for minutes in ("timeoutInMinutes", "queuedTimeoutInMinutes"):
        if minutes in asked:
            asked[minutes] = int(asked[minutes])
    return {**asked, "name": name}


def _create(account: Account, name: str, properties: Properties) -> None:
    account.client("codebuild").create_project(**_asked(name, properties))


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    if old:
        # The records have no UpdateProject.
        _delete(account, name, old)
        _create(account, name, new)


def _delete(account: Account, name: str, properties: Properties) -> None:
    account.client("codebuild").delete_project(name=name)


def _tells(account: Account, name: str, properties: Properties) -> dict[str, str]:
    return {"Ref": name, "Arn": arn(account, "codebuild", f"project/{name}")}


PROJECT = Kind(
    frozenset(
        {
            "Name",
            "Description",
            "ServiceRole",
            "TimeoutInMinutes",
            "QueuedTimeoutInMinutes",
            "Artifacts",
            "Environment",
            "LogsConfig",
            "Source",
        }
    ),
    "Name",
    frozenset({"Name"}),
    _create,
    _settle,
    _delete,
    _tells,
)
