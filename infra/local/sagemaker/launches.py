"""What of endpoints runs: containers started side by side, retired, none left when the local cloud stops."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Collection

from infra.local.cloud import Caller, Cloud
from infra.local.containers import stop_all
from infra.local.sagemaker import fleets
from infra.local.sagemaker.containers import Container, StartFailed
from infra.local.sagemaker.fleets import Fleet, Group, Variant
from infra.local.sagemaker.serverless import OnDemand
from infra.local.sagemaker.states import Rollout

SERVICE_FAILED = "Request to service failed. If failure persists after retry, contact customer support."
STOPPING = "The local cloud is stopping."
_log = logging.getLogger(__name__)


class Launches:
    """Starts and stops containers and knows each that is not stopped yet."""

    def __init__(self, cloud: Cloud) -> None:
        self.closed = threading.Event()
        self._cloud = cloud
        self._lock = threading.Lock()
        self._live: set[Container] = set()

    def fleet(self, rollout: Rollout, at_least_s: float = 0.0) -> Fleet:
        """Every variant's containers, healthy, in no less time than that. Raises StartFailed."""
        until = time.monotonic() + at_least_s
        try:
            fleet = {one.name: self._group(rollout, one) for one in rollout.variants}
            self.start(fleets.containers_of(fleet))
            for group in fleet.values():
                self._open(group)
        finally:
            time.sleep(max(0.0, until - time.monotonic()))
        return fleet

    def grown(self, variant: Variant, have: tuple[Container, ...], count: int) -> tuple[Container, ...]:
        """These containers and as many more, healthy, as make `count` of them. Raises StartFailed."""
        more = self.made(variant, max(0, count - len(have)))
        self.start(more)
        return (*have, *more)

    def made(self, variant: Variant, count: int) -> list[Container]:
        """That many containers of the variant, not started yet."""
        with self._lock:
            if self.closed.is_set():
                raise StartFailed(STOPPING)
            made = [Container(self._cloud, variant.container) for _ in range(count)]
            self._live.update(made)
            return made

    def start(self, containers: Collection[Container]) -> None:
        """Starts them side by side; where one fails none is left. Raises StartFailed."""
        try:
            fleets.start_all(containers)
        except StartFailed:
            self._forget(containers)
            raise
        except Exception as error:  # ours: the endpoint must come to rest all the same
            _log.exception("starting %d containers", len(containers))
            self._forget(containers)
            raise StartFailed(SERVICE_FAILED) from error

    def retire(self, containers: Collection[Container]) -> None:
        """Ends them, each when its requests are answered or their time is over."""
        stop_all(containers, self._cloud.settings.invocation_timeout_s)
        self._forget(containers)

    def retire_fleet(self, fleet: Fleet) -> None:
        """Ends all that the fleet has."""
        pooled = [group.pool.close() for group in fleet.values() if group.pool]
        self.retire(fleets.containers_of(fleet).union(*pooled))

    def retire_rest(self, caller: Caller, endpoint: str) -> None:
        """Ends what an earlier change of the endpoint has not ended yet, and waits for it."""
        place = (caller.account, caller.region, endpoint)
        with self._lock:
            rest = [one for one in self._live if _place(one) == place]
        self.retire(rest)

    def close(self) -> None:
        """Stops every container side by side and waits; none is started any more."""
        with self._lock:
            self.closed.set()
            live = list(self._live)
        stop_all(live)

    def _group(self, rollout: Rollout, variant: Variant) -> Group:
        containers = tuple(self.made(variant, variant.count))
        group = Group(variant, variant.weight, containers, rollout.since, rollout.config)
        return dataclasses.replace(group, pool=self._pool(variant)) if variant.serverless else group

    def _pool(self, variant: Variant) -> OnDemand:
        assert variant.serverless is not None
        return OnDemand(self, variant, variant.serverless, self._cloud.settings.serverless_idle_s)

    def _open(self, group: Group) -> None:
        if not isinstance(group.pool, OnDemand):
            return
        try:
            group.pool.open()
        except StartFailed:
            self.retire(group.pool.close())
            raise

    def _forget(self, containers: Collection[Container]) -> None:
        with self._lock:
            self._live.difference_update(containers)


def _place(container: Container) -> tuple[str, str, str]:
    spec = container.spec
    return spec.caller.account, spec.caller.region, spec.owner.name
