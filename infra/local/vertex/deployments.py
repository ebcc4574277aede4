"""What is deployed, or being deployed: each DeployedModel's containers, and who has it where."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infra.local.containers import stop_all
from infra.local.vertex.containers import Container
from infra.local.vertex.errors import GoogleError


@dataclass(frozen=True)
class Deployment:
    """A DeployedModel that runs or starts; `containers` is empty until they answer."""

    id: str
    endpoint: str
    model: str
    version: str
    display_name: str  # the model's
    containers: tuple[Container, ...] = ()


class Deployments:
    """Every DeployedModel by its id. A change puts another in its place."""

    def __init__(self) -> None:
        self._all: dict[str, Deployment] = {}
        self._lock = threading.Lock()

    def put(self, deployment: Deployment) -> None:
        """Adds it, or puts it in the place of the one with its id."""
        with self._lock:
            self._all[deployment.id] = deployment

    def remove(self, deployed_model_id: str) -> Deployment | None:
        """Takes it out; None where it is not there."""
        with self._lock:
            return self._all.pop(deployed_model_id, None)

    def find(self, deployed_model_id: str) -> Deployment | None:
        """The one with that id."""
        return self._all.get(deployed_model_id)

    def at(self, endpoint: str) -> list[Deployment]:
        """Those of an endpoint."""
        with self._lock:
            return [one for one in self._all.values() if one.endpoint == endpoint]

    def of(self, model: str, version: str = "") -> list[Deployment]:
        """Those of a model, or of one version of it."""
        with self._lock:
            return [one for one in self._all.values() if one.model == model and version in ("", one.version)]

    def close(self) -> None:
        """Stops every container and waits."""
        with self._lock:
            everything = [container for one in self._all.values() for container in one.containers]
            self._all.clear()
        stop_all(everything)


def start_all(containers: Iterable[Container]) -> None:
    """Starts them side by side and waits; one that fails stops them all and its StartFailed is raised."""
    held = list(containers)
    with ThreadPoolExecutor(max(1, len(held)), thread_name_prefix="start") as pool:
        starts = [pool.submit(container.start) for container in held]
        failures = [failure for one in starts if (failure := one.exception())]
    if failures:
        stop_all(held)
        raise failures[0]


def choose(split: Mapping[str, int], deployments: Deployments) -> tuple[Deployment, Container]:
    """A container for one request, the deployed model drawn by traffic.

    Raises GoogleError UNAVAILABLE where none of it answers.
    """
    shares = {one: int(share) for one, share in split.items() if int(share)}
    (drawn,) = random.choices(list(shares), list(shares.values()))  # noqa: S311 - no secret
    deployment = deployments.find(drawn)
    healthy = [one for one in deployment.containers if one.serves] if deployment else []
    if not deployment or not healthy:
        raise GoogleError("UNAVAILABLE", "The model server is not healthy. Please try again.")
    container = min(healthy, key=lambda one: (one.in_flight, random.random()))  # noqa: S311 - likewise
    return deployment, container
