"""AWS::Logs::LogGroup."""

from __future__ import annotations

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Kind, Properties, arn


def _create(account: Account, name: str, properties: Properties) -> None:
    account.client("logs").create_log_group(logGroupName=name)


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    days, logs = new.get("RetentionInDays"), account.client("logs")
    if days is not None:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    elif "RetentionInDays" in old:
        logs.delete_retention_policy(logGroupName=name)


def _delete(account: Account, name: str, properties: Properties) -> None:
    account.client("logs").delete_log_group(logGroupName=name)


def _tells(account: Account, name: str, properties: Properties) -> dict[str, str]:
    return {"Ref": name, "Arn": arn(account, "logs", f"log-group:{name}:*")}


LOG_GROUP = Kind(
    frozenset({"LogGroupName", "RetentionInDays"}),
    "LogGroupName",
    frozenset({"LogGroupName"}),
    _create,
    _settle,
    _delete,
    _tells,
)
