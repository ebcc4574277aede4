"""What an endpoint runs: for each production variant a weight and its containers. A fleet is never edited:
a change makes another, and the endpoint points at it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from infra.local.containers import stop_all
from infra.local.sagemaker.containers import Container, ContainerSpec


@dataclass(frozen=True)
class Variant:
    """A production variant as it is asked for by the endpoint configuration and its model."""

    name: str
    weight: float
    count: int
    instance_type: str
    container: ContainerSpec


@dataclass(frozen=True)
class Group:
    """A variant that runs."""

    variant: Variant
    weight: float
    containers: tuple[Container, ...]
    since: float  # when its image was resolved, seconds since the epoch


Fleet = Mapping[str, Group]


def containers_of(fleet: Fleet) -> set[Container]:
    """Every container of the fleet."""
    return {container for group in fleet.values() for container in group.containers}


def is_healthy(fleet: Fleet) -> bool:
    """Whether every variant has a container that answers."""
    return all(any(one.healthy for one in group.containers) for group in fleet.values())


def start_all(containers: Collection[Container]) -> None:
    """Starts them side by side; the first that fails stops them all, and its StartFailed is raised."""
    if not containers:
        return
    with ThreadPoolExecutor(len(containers), thread_name_prefix="start") as pool:
        starts = [pool.submit(container.start) for container in containers]
        done, _ = wait(starts, return_when=FIRST_EXCEPTION)
        failures = [failure for one in done if (failure := one.exception())]
        if failures:
            stop_all(containers)
    if failures:
        raise failures[0]


def choose(fleet: Fleet, target: str) -> Container | None:
    """A container for one request: of the target variant, or of one drawn by weight among those that answer.

    None when no container of it answers.
    """
    groups = [fleet[target]] if target else list(fleet.values())
    answering = [group for group in groups if any(one.healthy for one in group.containers)]
    if not answering:
        return None
    weights = [group.weight for group in answering]
    (group,) = random.choices(answering, weights if any(weights) else None)  # noqa: S311 - no secret
    healthy = [one for one in group.containers if one.healthy]
    return min(healthy, key=lambda one: (one.in_flight, random.random()), default=None)  # noqa: S311 - likewise
