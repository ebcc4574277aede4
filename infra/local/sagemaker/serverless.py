"""A serverless variant's containers: started when requests come, one request each, ended when idle.

Source: developer guide, serverless-endpoints: cold starts "if your concurrent requests exceed the current
concurrent request usage", requests beyond the maximum concurrency are throttled, and it scales down to 0.
Not verified: after what time AWS ends an idle container, and in which words a cold start fails. The memory
size is recorded: a process here has the machine's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection
from typing import Protocol

from infra.local.sagemaker.containers import Container, StartFailed
from infra.local.sagemaker.fleets import Serverless, Variant
from infra.local.sagemaker.invocations import not_ready, throttled

SWEEPS_AN_IDLE_TIME = 4
_log = logging.getLogger(__name__)


class Launcher(Protocol):
    """What starts and ends containers: `launches.Launches`."""

    def made(self, variant: Variant, count: int) -> list[Container]:
        """That many containers of the variant, not started yet."""
        ...

    def start(self, containers: Collection[Container]) -> None:
        """Starts them. Raises StartFailed."""
        ...

    def retire(self, containers: Collection[Container]) -> None:
        """Ends them."""
        ...


class OnDemand:
    """See `fleets.Pool`."""

    def __init__(self, launches: Launcher, variant: Variant, limits: Serverless, idle_s: float) -> None:
        self._launches, self._variant, self._limits, self._idle_s = launches, variant, limits, idle_s
        self._lock = threading.Lock()
        self._all: set[Container] = set()
        self._ready: list[tuple[float, Container]] = []  # since when idle; the last is taken first
        self._busy = 0
        self._closed = threading.Event()

    def open(self) -> None:
        """Starts one container, which shows whether any can be, or those provisioned. Raises StartFailed."""
        for _ in range(max(1, self._limits.provisioned)):
            self._start()
        threading.Thread(target=self._sweep, name=f"idle {self._variant.name}", daemon=True).start()

    async def lease(self) -> Container | None:
        """See `fleets.Pool.lease`."""
        with self._lock:
            if self._busy >= self._limits.concurrency:
                raise throttled()
            self._busy += 1
        try:
            return await self._taken()
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise

    def give_back(self, container: Container) -> None:
        """See `fleets.Pool.give_back`."""
        with self._lock:
            self._busy -= 1
            if container in self._all:
                self._ready.append((time.monotonic(), container))

    def close(self) -> set[Container]:
        """See `fleets.Pool.close`."""
        self._closed.set()
        with self._lock:
            left, self._all = self._all, set()
            self._ready.clear()
            return left

    async def _taken(self) -> Container | None:
        while not self._closed.is_set():
            with self._lock:
                while self._ready:
                    container = self._ready.pop()[1]
                    if container.healthy:
                        return container
                    self._all.discard(container)
            try:
                await asyncio.to_thread(self._start)
            except StartFailed as failed:
                raise not_ready(str(failed)) from failed
        return None

    def _start(self) -> None:
        """A cold start: one more container that is ready."""
        (made,) = self._launches.made(self._variant, 1)
        self._launches.start([made])
        with self._lock:
            if not self._closed.is_set():
                self._all.add(made)
                self._ready.append((time.monotonic(), made))
                return
        self._launches.retire([made])

    def _sweep(self) -> None:
        while not self._closed.wait(self._idle_s / SWEEPS_AN_IDLE_TIME):
            with self._lock:
                oldest = time.monotonic() - self._idle_s
                surplus = max(0, len(self._all) - self._limits.provisioned)
                idle = [one for since, one in self._ready if since < oldest][:surplus]
                self._ready = [(since, one) for since, one in self._ready if one not in idle]
                self._all.difference_update(idle)
            if idle:
                _log.info("%s: %d idle containers end", self._variant.container.owner.name, len(idle))
                self._launches.retire(idle)
