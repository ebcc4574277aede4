"""The states of an endpoint and the changes between them, as data."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.cloud import Caller
from infra.local.sagemaker import fleets
from infra.local.sagemaker.fleets import Fleet, Group, Variant
from infra.local.sagemaker.options import Options
from infra.local.sagemaker.shifting import Plan, plan_of

ALL_AT_ONCE = plan_of(None, 1)
# Source: DescribeEndpoint's EndpointStatus. "" is an endpoint that is not there.
CHANGES: Mapping[str, frozenset[str]] = {
    "": frozenset({"Creating"}),
    "Creating": frozenset({"InService", "Failed"}),
    "InService": frozenset({"Updating", "Deleting"}),
    "Updating": frozenset({"Updating", "InService", "RollingBack"}),
    "RollingBack": frozenset({"RollingBack", "InService", "UpdateRollbackFailed"}),
    "Failed": frozenset({"Deleting"}),
    "UpdateRollbackFailed": frozenset({"Deleting"}),
    "Deleting": frozenset({""}),
}


@dataclass(frozen=True)
class Key:
    """What names an endpoint: two accounts, or two regions, may each have one of the same name."""

    account: str
    region: str
    name: str

    @classmethod
    def of(cls, caller: Caller, name: str) -> Key:
        """The caller's endpoint of that name."""
        return cls(caller.account, caller.region, name)


@dataclass(frozen=True)
class Stage:
    """What is being done for a new version: a VariantStatus, and since when (seconds since the epoch)."""

    status: str
    message: str
    since: float


@dataclass(frozen=True)
class Rollout:
    """What an endpoint is about to serve: DescribeEndpoint's PendingDeploymentSummary.

    `fleet` is what of it takes requests by now, `share` how much of them.
    """

    config: str
    variants: tuple[Variant, ...]
    since: float
    stage: Stage
    options: Options
    plan: Plan = ALL_AT_ONCE
    fleet: Fleet = field(default_factory=dict)
    share: float = 0.0


@dataclass(frozen=True)
class Endpoint:
    """An endpoint at one moment. `fleet` serves, `desired` was asked of it; times are epoch seconds."""

    caller: Caller
    name: str
    arn: str
    config: str
    created: float
    modified: float
    status: str = "Creating"
    fleet: Fleet = field(default_factory=dict)
    desired: Mapping[str, Variant] = field(default_factory=dict)
    pending: Rollout | None = None
    failure: str = ""
    options: Options = Options()
    deployment: Mapping[str, Any] | None = None  # the UpdateEndpoint's DeploymentConfig

    @property
    def serves(self) -> bool:
        """Whether requests are answered: also while a new version is made ready beside."""
        return self.status in ("InService", "Updating", "RollingBack", "UpdateRollbackFailed")

    @property
    def is_serverless(self) -> bool:
        """Whether its containers come and go with the requests."""
        return any(one.pool for one in self.fleet.values())


class Endpoints:
    """Every endpoint as it is now. A reader gets a moment; a change is one step of CHANGES."""

    def __init__(self) -> None:
        self._now: dict[Key, Endpoint] = {}
        self._lock = threading.Lock()

    def find(self, key: Key) -> Endpoint | None:
        """The endpoint, None if there is none."""
        return self._now.get(key)

    def all_of(self, caller: Caller) -> list[Endpoint]:
        """The caller's endpoints in the caller's region."""
        place = (caller.account, caller.region)
        with self._lock:
            return [one for key, one in self._now.items() if (key.account, key.region) == place]

    def add(self, endpoint: Endpoint) -> bool:
        """Puts a new endpoint there; False if the name is taken."""
        key = Key.of(endpoint.caller, endpoint.name)
        with self._lock:
            return self._now.setdefault(key, endpoint) is endpoint

    def move(self, before: Endpoint, status: str, **changes: Any) -> Endpoint | None:
        """The endpoint in its next state; None, and nothing is done, if it is not `before` any more."""
        if status not in CHANGES[before.status]:
            raise RuntimeError(f"endpoint {before.name}: no way from {before.status} to {status or 'gone'}")
        key = Key.of(before.caller, before.name)
        after = dataclasses.replace(before, status=status, **changes)
        with self._lock:
            if self._now.get(key) is not before:
                return None
            if status:
                self._now[key] = after
            else:
                del self._now[key]
            return after


def draw(endpoint: Endpoint, target: str) -> Group | None:
    """The group for one request as `fleets.choose` has it, of the new fleet for its share of the traffic."""
    pending = endpoint.pending
    if pending and pending.share > random.random():  # noqa: S311 - no secret
        group = fleets.choose(pending.fleet, target)
        if group:
            return group
    return fleets.choose(endpoint.fleet, target)
