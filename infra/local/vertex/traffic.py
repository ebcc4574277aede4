"""How traffic is split among an endpoint's models, and what deploying and undeploying does to it. Pure.

Source: DeployModelRequest.traffic_split, UndeployModelRequest.traffic_split.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from infra.local.vertex.errors import GoogleError, invalid

Json = dict[str, Any]
THIS = "0"  # stands for the model that is being deployed


def check_split(split: Mapping[str, int], known: Collection[str]) -> None:
    """An empty split takes no traffic; any other adds up to 100. Raises GoogleError INVALID_ARGUMENT."""
    unknown = sorted(set(split) - set(known))
    if unknown:
        raise invalid(
            f"traffic_split names DeployedModels that are not there: {', '.join(unknown)}.", "traffic_split"
        )
    shares = [int(share) for share in split.values()]
    if split and (sum(shares) != 100 or min(shares) < 0):
        raise invalid(f"traffic_split must add up to 100: {sum(shares)}.", "traffic_split")


def after_deploying(endpoint: Json, identifier: str, split: Mapping[str, int]) -> Json:
    """The endpoint's split with one more model: as asked, or as it was where nothing is asked."""
    if not split:
        return dict(endpoint.get("trafficSplit", {}))
    wanted = {identifier if one == THIS else one: int(share) for one, share in split.items()}
    check_split(wanted, {identifier, *(one["id"] for one in endpoint.get("deployedModels", []))})
    return wanted


def after_undeploying(endpoint: Json, identifier: str, split: Mapping[str, int]) -> Json:
    """The endpoint without the model. Raises GoogleError; FAILED_PRECONDITION while it has traffic."""
    models = endpoint.get("deployedModels", [])
    others = [one for one in models if one["id"] != identifier]
    if len(others) == len(models):
        raise GoogleError("NOT_FOUND", f"The DeployedModel {identifier!r} is not at {endpoint['name']}.")
    wanted = {one: int(share) for one, share in (split or endpoint.get("trafficSplit", {})).items()}
    if not others:
        wanted = {}
    if wanted.pop(identifier, 0):
        text = f"The DeployedModel {identifier} has traffic: give a traffic_split without it."
        raise GoogleError("FAILED_PRECONDITION", text)
    check_split({one: share for one, share in wanted.items() if share}, {one["id"] for one in others})
    return {**endpoint, "deployedModels": others, "trafficSplit": wanted}
