"""Deployed models between two numbers of replicas get and lose them by the CPU time of their processes.

One thread measures every cycle; a change has a thread of its own, since a replica may take long to start.
While one is under way, or MutateDeployedModel is, targets are noted and nothing more is begun.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.settings import Settings
from infra.local.vertex import cputimes, replicacounts
from infra.local.vertex.containers import Container, StartFailed
from infra.local.vertex.deployments import Deployment, Deployments
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.replicacounts import CYCLE_S, WINDOW_S, Sample, Target
from infra.local.vertex.resources import Table

Samples = Mapping[Container, Sample]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """What is remembered of a deployed model: its replicas' last samples, and the targets of the window."""

    samples: Samples
    targets: tuple[Target, ...] = ()


class Autoscaling:
    """The thread, from `start` to `close`. `endpoints` say the bounds, as they are at the moment."""

    def __init__(self, settings: Settings, endpoints: Table, deployments: Deployments) -> None:
        self._endpoints, self._deployments = endpoints, deployments
        self._scale, self._cores = settings.time_scale, cputimes.cores()
        self._watched: dict[str, Watched] = {}
        self._closing = threading.Event()

    def start(self) -> None:
        """Begins to watch."""
        threading.Thread(target=self._watch, name="replicas", daemon=True).start()

    def close(self) -> None:
        """Begins no change any more."""
        self._closing.set()

    def _watch(self) -> None:
        while not self._closing.wait(CYCLE_S * self._scale):
            there = self._deployments.everything()
            self._watched = {one.id: self._watched[one.id] for one in there if one.id in self._watched}
            for deployment in there:
                try:
                    self._look_at(deployment)
                except Exception:
                    _log.exception("the replicas of %s are not counted", deployment.id)

    def _look_at(self, deployment: Deployment) -> None:
        resources = self._resources(deployment)
        if not resources or not _has_range(resources):
            self._watched.pop(deployment.id, None)
            return
        now = time.monotonic()
        before = self._watched.get(deployment.id, Watched({}))
        samples = _samples(deployment)
        shares = replicacounts.utilisations(before.samples, samples, self._cores)
        target = replicacounts.cpu_target(resources)
        new = (Target(now, replicacounts.wanted(shares, target)),) if shares else ()
        targets = replicacounts.within((*before.targets, *new), now - WINDOW_S * self._scale)
        self._watched[deployment.id] = Watched(samples, targets)
        if self._wanted(deployment) != len(deployment.containers):
            threading.Thread(
                target=self._change, args=(deployment,), name=f"replicas of {deployment.id}", daemon=True
            ).start()

    def _change(self, deployment: Deployment) -> None:
        replicas = deployment.replicas
        if not replicas.changing.acquire(blocking=False):
            return
        try:
            count = self._wanted(deployment)  # by the bounds as they are now that nobody else changes them
            if not self._closing.is_set():
                replicas.resize(count)
                _log.info("%s has %d replicas", deployment.id, count)
        except StartFailed as error:
            _log.warning("%s gets no %d replicas: %s", deployment.id, count, error.message)
        finally:
            replicas.changing.release()

    def _wanted(self, deployment: Deployment) -> int:
        resources, current = self._resources(deployment), len(deployment.containers)
        watched = self._watched.get(deployment.id)
        if not resources or not watched:
            return current
        return replicacounts.decided(watched.targets, replicacounts.bounds_of(resources), current)

    def _resources(self, deployment: Deployment) -> Mapping[str, Any]:
        """DedicatedResources as its endpoint has them; empty before it is deployed, or when it is gone."""
        try:
            endpoint = self._endpoints.peek(deployment.endpoint)
        except GoogleError:
            return {}
        shown = [one for one in endpoint.get("deployedModels", ()) if one["id"] == deployment.id]
        resources: Mapping[str, Any] = shown[0]["dedicatedResources"] if shown else {}
        return resources


def _has_range(resources: Mapping[str, Any]) -> bool:
    bounds = replicacounts.bounds_of(resources)
    return bounds.least < bounds.most


def _samples(deployment: Deployment) -> Samples:
    found = {}
    for container in deployment.containers:
        pid = container.pid
        used = cputimes.of_tree(pid) if pid and container.serves else None
        if used is not None:
            found[container] = Sample(pid, time.monotonic(), used)
    return found
