"""What an endpoint runs: for each production variant a weight and its containers. A fleet is never edited:
a change makes another, and the endpoint points at it.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from infra.local.containers import stop_all
from infra.local.sagemaker.containers import Container, ContainerSpec


@dataclass(frozen=True)
class Serverless:
    """A ServerlessConfig: at most `concurrency` requests at once, and `provisioned` containers kept ready."""

    memory_mb: int
    concurrency: int
    provisioned: int = 0


@dataclass(frozen=True)
class Variant:
    """A production variant as it is asked for by the endpoint configuration and its model.

    A serverless one has no instances: its count is 0 and its type "".
    """

    name: str
    weight: float
    count: int
    instance_type: str
    container: ContainerSpec
    serverless: Serverless | None = None


class Pool(Protocol):
    """A serverless variant's containers, which come and go with its requests."""

    async def lease(self) -> Container | None:
        """A container for one request, to be given back; None once the pool is closed.

        Raises AwsError where too many requests are under way, or where none can be started.
        """
        ...

    def give_back(self, container: Container) -> None:
        """The request is answered."""
        ...

    def close(self) -> set[Container]:
        """Hands none out any more; those that it has, to be retired."""
        ...


@dataclass(frozen=True)
class Group:
    """A variant that runs: in these containers, or in those of its pool."""

    variant: Variant
    weight: float
    containers: tuple[Container, ...]
    since: float  # when its image was resolved, seconds since the epoch
    config: str  # the endpoint configuration that it comes from
    pool: Pool | None = None

    @property
    def answers(self) -> bool:
        """Whether a request to it has a chance."""
        return self.pool is not None or any(one.healthy for one in self.containers)


Fleet = Mapping[str, Group]


@dataclass(frozen=True)
class Place:
    """Where one request is: it must be left when the request is over."""

    group: Group
    container: Container

    def leave(self) -> None:
        """Gives the place back."""
        self.container.leave()
        if self.group.pool:
            self.group.pool.give_back(self.container)


def containers_of(fleet: Fleet) -> set[Container]:
    """Every container of the fleet but those of pools."""
    return {container for group in fleet.values() for container in group.containers}


def is_healthy(fleet: Fleet) -> bool:
    """Whether every variant answers, or is meant to have no instance."""
    return all(group.answers or not group.variant.count for group in fleet.values())


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


def choose(fleet: Fleet, target: str) -> Group | None:
    """The group for one request: the target variant, or one drawn by weight among those that answer.

    None when none answers.
    """
    groups = [fleet[target]] if target in fleet else [] if target else list(fleet.values())
    answering = [group for group in groups if group.answers]
    if not answering:
        return None
    weights = [group.weight for group in answering]
    (group,) = random.choices(answering, weights if any(weights) else None)  # noqa: S311 - no secret
    return group


async def take(group: Group) -> Place | None:
    """A place in the group's container with the fewest requests; None where it retires in this moment."""
    if group.pool:
        leased = await group.pool.lease()
        return Place(group, leased) if leased and leased.enter() else None
    healthy = [one for one in group.containers if one.healthy]
    container = min(healthy, key=lambda one: (one.in_flight, random.random()), default=None)  # noqa: S311
    return Place(group, container) if container and container.enter() else None


def first(fleet: Fleet, count: int) -> Fleet:
    """The fleet with `count` containers of each variant."""
    return {
        name: dataclasses.replace(group, containers=group.containers[:count]) for name, group in fleet.items()
    }
