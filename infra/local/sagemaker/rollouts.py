"""The work behind an endpoint's states, each in a thread: containers up, traffic over, containers down."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from infra.local.cloud import Cloud
from infra.local.containers import stop_all
from infra.local.errors import AwsError
from infra.local.sagemaker import fleets
from infra.local.sagemaker.containers import Container, StartFailed
from infra.local.sagemaker.fleets import Fleet, Group, Variant
from infra.local.sagemaker.states import Endpoint, Endpoints, Rollout

SERVICE_FAILED = "Request to service failed. If failure persists after retry, contact customer support."
_log = logging.getLogger(__name__)


class Rollouts:
    """Starts and stops what endpoints run, and moves the endpoints through their states."""

    def __init__(self, cloud: Cloud, endpoints: Endpoints) -> None:
        self._cloud, self._endpoints = cloud, endpoints
        self._lock = threading.Lock()
        self._live: set[Container] = set()  # every container that is not stopped yet
        self._closed = False

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
            fleet = self._start(rollout, self._cloud.settings.creating_s)
        except StartFailed as failed:
            self._move(endpoint, "Failed", failure=str(failed), pending=None)
        else:
            self._move(endpoint, "InService", **_serving(rollout, fleet))

    def update(self, endpoint: Endpoint, rollout: Rollout) -> None:
        """Updating, then InService on the new configuration or back on the old, which serves meanwhile."""
        try:
            fleet = self._start(rollout, self._cloud.settings.updating_s)
        except StartFailed as failed:
            self._roll_back(endpoint, str(failed))
        else:
            self._move(endpoint, "InService", **_serving(rollout, fleet))
            self._retire(fleets.containers_of(endpoint.fleet))

    def resize(self, endpoint: Endpoint) -> None:
        """Updating, then InService with the weights and numbers that `endpoint.desired` says."""
        more = {name: self._missing(endpoint, name) for name in endpoint.fleet}
        try:
            self._start_each([one for containers in more.values() for one in containers])
        except StartFailed as failed:
            self._roll_back(endpoint, str(failed))
            return
        fleet = {name: _resized(endpoint, name, more[name]) for name in endpoint.fleet}
        self._move(endpoint, "InService", fleet=fleet)
        self._retire(fleets.containers_of(endpoint.fleet) - fleets.containers_of(fleet))

    def delete(self, endpoint: Endpoint) -> None:
        """Deleting, then gone."""
        self._retire(fleets.containers_of(endpoint.fleet))
        with contextlib.suppress(AwsError):  # somebody removed moto's record: nothing is left to do
            self._cloud.moto(endpoint.caller, "DeleteEndpoint", {"EndpointName": endpoint.name})
        self._move(endpoint, "")

    def close(self) -> None:
        """Stops every container side by side and waits; none is started any more."""
        with self._lock:
            self._closed = True
            live = list(self._live)
        stop_all(live)

    def _start(self, rollout: Rollout, at_least_s: float) -> Fleet:
        until = time.monotonic() + at_least_s
        try:
            fleet = {
                one.name: Group(one, one.weight, tuple(self._made(one, one.count)), rollout.since)
                for one in rollout.variants
            }
            self._start_each(fleets.containers_of(fleet))
        finally:
            time.sleep(max(0.0, until - time.monotonic()))
        return fleet

    def _start_each(self, containers: Collection[Container]) -> None:
        try:
            fleets.start_all(containers)
        except StartFailed:
            self._forget(containers)
            raise
        except Exception as error:  # ours: the endpoint must come to rest all the same
            _log.exception("starting %d containers", len(containers))
            self._forget(containers)
            raise StartFailed(SERVICE_FAILED) from error

    def _made(self, variant: Variant, count: int) -> list[Container]:
        with self._lock:
            if self._closed:
                raise StartFailed("The local cloud is stopping.")
            made = [Container(self._cloud, variant.container) for _ in range(count)]
            self._live.update(made)
            return made

    def _missing(self, endpoint: Endpoint, name: str) -> list[Container]:
        wanted, group = endpoint.desired[name], endpoint.fleet[name]
        return self._made(wanted, max(0, wanted.count - len(group.containers)))

    def _roll_back(self, endpoint: Endpoint, failure: str) -> None:
        before = {name: group.variant for name, group in endpoint.fleet.items()}
        back = self._move(endpoint, "RollingBack", failure=failure, pending=None, desired=before)
        # SageMaker reports a failed update InService, on the old configuration: only what is served tells.
        self._move(back, "InService" if fleets.is_healthy(endpoint.fleet) else "UpdateRollbackFailed")

    def _retire(self, containers: Collection[Container]) -> None:
        stop_all(containers, self._cloud.settings.invocation_timeout_s)
        self._forget(containers)

    def _forget(self, containers: Collection[Container]) -> None:
        with self._lock:
            self._live.difference_update(containers)

    def _move(self, endpoint: Endpoint, status: str, **changes: Any) -> Endpoint:
        after = self._endpoints.move(endpoint, status, modified=time.time(), **changes)
        if after is None:  # a thread owns its endpoint until it has brought it to rest
            raise RuntimeError(
                f"endpoint {endpoint.name} was changed by somebody else while {endpoint.status}"
            )
        return after


def _serving(rollout: Rollout, fleet: Fleet) -> dict[str, Any]:
    desired = {one.name: one for one in rollout.variants}
    return {"config": rollout.config, "fleet": fleet, "desired": desired, "pending": None, "failure": ""}


def _resized(endpoint: Endpoint, name: str, more: list[Container]) -> Group:
    group, wanted = endpoint.fleet[name], endpoint.desired[name]
    kept = (*group.containers, *more)[: wanted.count]
    return dataclasses.replace(group, variant=wanted, weight=wanted.weight, containers=kept)
