"""Traffic given to a new version part after part: Vertex AI has no rollout of its own, so it is done here.

Vertex AI rolls nothing back either: while a part is waited for, what the deploy is watched by is asked again
and again. Stopped half-way, the split stays as it is, and the next deploy goes on from there.
What other callers are answered is not seen here: only Cloud Monitoring tells. No real project was asked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from deploy.config import Config
from deploy.gcp import clients, inventory
from deploy.plan import Change
from deploy.target import CloudError, Say, Watch

# Seconds between two times of asking: a twentieth of the wait, within these.
SOONEST_S, LATEST_S = 0.5, 10.0


class Unwell(CloudError):
    """What the deploy is watched by did not answer while the new version had a part of the traffic."""


@dataclass(frozen=True)
class Move:
    """A change of the endpoint under way, who is told of it, and what watches it."""

    config: Config
    change: Change
    say: Say
    watch: Watch


def rollout(config: Config) -> dict[str, Any]:
    """How a version takes over, as a resource's plain data; nothing where it does so all at once."""
    endpoint = config.endpoint
    if endpoint.rollout == "all-at-once" and not endpoint.termination_wait_s:
        return {}
    waits = {"wait_s": endpoint.wait_s, "termination_wait_s": endpoint.termination_wait_s}
    return {"rollout": {"shares": endpoint.shares, **waits}}


def shares(change: Change) -> list[int]:
    """The percent that the version gets, part after part; the last is 100."""
    return list(change.resource.params.get("rollout", {}).get("shares", [100]))


def heir(described: Any, version: str) -> str:
    """Of the deployed models of other versions, the one with the most traffic; empty if none has any."""
    split = described.traffic_split
    others = [one.id for one in described.deployed_models if inventory.last(one.model) != version]
    return max((one for one in others if split.get(one, 0)), key=lambda one: split[one], default="")


def split(version_id: str, share: int, rest_id: str) -> dict[str, int]:
    """A traffic split that adds up to 100."""
    return {version_id: share, **({rest_id: 100 - share} if share < 100 else {})}


def give(config: Config, described: Any, wanted: dict[str, int]) -> None:
    """Split the endpoint's traffic so."""
    endpoint = {"name": described.name, "traffic_split": wanted}
    clients.endpoints(config.gcp.region).update_endpoint(
        request={"endpoint": endpoint, "update_mask": {"paths": ["traffic_split"]}}
    )


def go_on(move: Move, described: Any, version_id: str, rest_id: str) -> None:
    """From the first part on, which it has, to all of it. Raises Unwell."""
    how, parts = move.change.resource.params.get("rollout", {}), shares(move.change)
    for share, more in zip(parts, parts[1:], strict=False):
        _wait(move, how["wait_s"], f"{share} % of the traffic")
        give(move.config, described, split(version_id, more, rest_id))
    if how:
        _wait(move, how["termination_wait_s"], "all traffic, the version before still ready")


def _wait(move: Move, seconds: float, state: str) -> None:
    """Ask until the time is over, and once at least."""
    until, pause = time.monotonic() + seconds, min(LATEST_S, max(SOONEST_S, seconds / 20))
    while True:
        left = until - time.monotonic()
        move.say(f"{state}, {max(0.0, left):.0f} s more")
        try:
            move.watch()
        except CloudError as error:
            raise Unwell(f"with {state} {error}") from error
        if left <= 0:
            return
        time.sleep(min(pause, left))
