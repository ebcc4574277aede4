"""The work behind an endpoint's states, each in a thread: containers up, traffic over, containers down."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from infra.local.cloud import Cloud
from infra.local.cloudwatch import CloudWatch
from infra.local.errors import AwsError
from infra.local.sagemaker import fleets
from infra.local.sagemaker.containers import Container, StartFailed
from infra.local.sagemaker.fleets import Fleet, Group
from infra.local.sagemaker.launches import Launches
from infra.local.sagemaker.shifts import Abandoned, Shift, Tools
from infra.local.sagemaker.states import Endpoint, Endpoints, Rollout

_log = logging.getLogger(__name__)


class Rollouts:
    """Moves the endpoints through their states, and starts and stops what they run."""

    def __init__(self, cloud: Cloud, endpoints: Endpoints, cloudwatch: CloudWatch) -> None:
        self._cloud, self._endpoints = cloud, endpoints
        self._launches = Launches(cloud)
        settings = cloud.settings
        self._tools = Tools(
            self._launches, cloudwatch, self._move, settings.time_scale, at_least_s=settings.updating_s
        )

    def begin(self, work: Callable[..., None], endpoint: Endpoint, *rest: Any) -> None:
        """Does one of the works below in a thread of its own."""

        def run() -> None:
            try:
                work(endpoint, *rest)
            except Exception:
                _log.exception("endpoint %s: %s", endpoint.name, work.__name__)

        threading.Thread(target=run, name=f"{work.__name__} {endpoint.name}", daemon=True).start()

    def create(self, endpoint: Endpoint, rollout: Rollout) -> None:
        """Creating, then InService or Failed."""
        try:
            fleet = self._launches.fleet(rollout, self._cloud.settings.creating_s)
        except StartFailed as failed:
            self._move(endpoint, "Failed", failure=str(failed), pending=None)
        else:
            self._move(endpoint, "InService", **_serving(rollout, fleet))

    def update(self, endpoint: Endpoint, rollout: Rollout) -> None:
        """Updating, then InService on the new configuration or back on the old, which serves meanwhile."""
        shift = Shift(self._tools, endpoint, rollout)
        try:
            shift.forward()
        except (StartFailed, Abandoned) as failed:
            shift.back(str(failed))
        else:
            self._move(shift.endpoint, "InService", **_serving(rollout, shift.green))
            self._launches.retire_fleet(shift.endpoint.fleet)

    def resize(self, endpoint: Endpoint) -> None:
        """Updating, then InService with the weights and numbers that `endpoint.desired` says."""
        more = {name: self._missing(endpoint, name) for name in endpoint.fleet}
        try:
            self._launches.start([one for containers in more.values() for one in containers])
        except StartFailed as failed:
            before = {name: group.variant for name, group in endpoint.fleet.items()}
            back = self._move(endpoint, "RollingBack", failure=str(failed), desired=before)
            self._move(back, "InService" if fleets.is_healthy(back.fleet) else "UpdateRollbackFailed")
            return
        fleet = {name: _resized(endpoint, name, more[name]) for name in endpoint.fleet}
        self._move(endpoint, "InService", fleet=fleet)
        self._launches.retire(fleets.containers_of(endpoint.fleet) - fleets.containers_of(fleet))

    def delete(self, endpoint: Endpoint) -> None:
        """Deleting, then gone, and no container of it is left: one would make its log group again."""
        mixed = endpoint.pending.fleet if endpoint.pending else {}  # after a rollback that failed
        self._launches.retire_fleet(endpoint.fleet)
        self._launches.retire_fleet(mixed)
        self._launches.retire_rest(endpoint.caller, endpoint.name)
        with contextlib.suppress(AwsError):  # somebody removed moto's record: nothing is left to do
            self._cloud.moto(endpoint.caller, "DeleteEndpoint", {"EndpointName": endpoint.name})
        self._move(endpoint, "")

    def close(self) -> None:
        """Stops every container side by side and waits; none is started any more."""
        self._launches.close()

    def _missing(self, endpoint: Endpoint, name: str) -> list[Container]:
        wanted, group = endpoint.desired[name], endpoint.fleet[name]
        return self._launches.made(wanted, max(0, wanted.count - len(group.containers)))

    def _move(self, endpoint: Endpoint, status: str, **changes: Any) -> Endpoint:
        after = self._endpoints.move(endpoint, status, modified=time.time(), **changes)
        if after is None:  # a thread owns its endpoint until it has brought it to rest
            raise RuntimeError(
                f"endpoint {endpoint.name} was changed by somebody else while {endpoint.status}"
            )
        return after


def _serving(rollout: Rollout, fleet: Fleet) -> dict[str, Any]:
    desired = {one.name: one for one in rollout.variants}
    return {
        "config": rollout.config,
        "fleet": fleet,
        "desired": desired,
        "options": rollout.options,
        "pending": None,
        "failure": "",
    }


def _resized(endpoint: Endpoint, name: str, more: list[Container]) -> Group:
    group, wanted = endpoint.fleet[name], endpoint.desired[name]
    kept = (*group.containers, *more)[: wanted.count]
    return dataclasses.replace(group, variant=wanted, weight=wanted.weight, containers=kept)
