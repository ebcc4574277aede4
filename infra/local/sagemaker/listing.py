"""How SageMaker's List operations filter, order and page what is there. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from infra.local.sagemaker.checks import refusal

DEFAULT_PAGE = 10  # SageMaker's, where MaxResults is not given
Item = dict[str, Any]


def page(items: Sequence[Item], request: dict[str, Any], noun: str) -> dict[str, Any]:
    """The answer: one page of the items that the request asks for, and the token of the next.

    `noun` is the item's (`Endpoint`: its keys are EndpointName, EndpointStatus …). The order is the newest
    first unless the request says otherwise. Source: API_ListEndpoints, API_ListModels.
    """
    chosen = [item for item in items if _wanted(item, request, noun)]
    chosen.sort(key=_order(request, noun), reverse=request.get("SortOrder", "Descending") == "Descending")
    start = _start(request.get("NextToken"))
    end = start + int(request.get("MaxResults", DEFAULT_PAGE))
    more = {"NextToken": _token(end)} if end < len(chosen) else {}
    return {f"{noun}s": chosen[start:end], **more}


def _wanted(item: Item, request: dict[str, Any], noun: str) -> bool:
    if request.get("NameContains", "").lower() not in item[f"{noun}Name"].lower():
        return False
    if request.get("StatusEquals", item.get(f"{noun}Status")) != item.get(f"{noun}Status"):
        return False
    times = (item["CreationTime"], item.get("LastModifiedTime", item["CreationTime"]))
    for name, value in zip(("CreationTime", "LastModifiedTime"), times, strict=True):
        if value <= request.get(f"{name}After", float("-inf")):
            return False
        if value >= request.get(f"{name}Before", float("inf")):
            return False
    return True


def _order(request: dict[str, Any], noun: str) -> Any:
    by = request.get("SortBy", "CreationTime")
    key = by if by == "CreationTime" else f"{noun}{by}"
    return lambda item: (item[key], item[f"{noun}Name"])


def _token(start: int) -> str:
    return base64.b64encode(str(start).encode()).decode()


def _start(token: str | None) -> int:
    try:
        return int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError:
        raise refusal(f"Invalid NextToken '{token}'.") from None
