"""AWS::Budgets::Budget."""

from __future__ import annotations

from typing import Any

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Kind, Properties


def _create(account: Account, name: str, properties: Properties) -> None:
    budget: dict[str, Any] = {**properties["Budget"], "BudgetName": name}
    if limit := budget.get("BudgetLimit"):
        budget["BudgetLimit"] = {**limit, "Amount": str(limit["Amount"])}
    account.client("budgets").create_budget(
        AccountId=account.caller.account,
        Budget=budget,
        NotificationsWithSubscribers=properties.get("NotificationsWithSubscribers", []),
    )


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    if old:
        # The records have no UpdateBudget.
        _delete(account, name, old)
        _create(account, name, new)


def _delete(account: Account, name: str, properties: Properties) -> None:
    account.client("budgets").delete_budget(AccountId=account.caller.account, BudgetName=name)


BUDGET = Kind(
    frozenset({"Budget", "NotificationsWithSubscribers"}),
    "Budget.BudgetName",
    frozenset(),
    _create,
    _settle,
    _delete,
    lambda account, name, properties: {"Ref": name},
)
