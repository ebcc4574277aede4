"""What is deployed, or being deployed: each DeployedModel's replicas, and who has it where."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from infra.local.vertex.containers import Container
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.operations import now
from infra.local.vertex.replicas import Replicas

Json = dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """A DeployedModel that runs or starts; there are no replicas until they answer."""

    id: str
    endpoint: str
    model: str
    version: str
    display_name: str  # the model's
    replicas: Replicas

    @property
    def containers(self) -> tuple[Container, ...]:
        """The replicas that have been healthy and stay."""
        return self.replicas.containers


class Deployments:
    """Every DeployedModel by its id."""

    def __init__(self) -> None:
        self._all: dict[str, Deployment] = {}
        self._lock = threading.Lock()

    def put(self, deployment: Deployment) -> None:
        """Adds it."""
        with self._lock:
            self._all[deployment.id] = deployment

    def remove(self, deployed_model_id: str) -> None:
        """Takes it out, if it is there."""
        with self._lock:
            self._all.pop(deployed_model_id, None)

    def find(self, deployed_model_id: str) -> Deployment | None:
        """The one with that id."""
        return self._all.get(deployed_model_id)

    def everything(self) -> list[Deployment]:
        """All of them."""
        with self._lock:
            return list(self._all.values())

    def at(self, endpoint: str) -> list[Deployment]:
        """Those of an endpoint."""
        return [one for one in self.everything() if one.endpoint == endpoint]

    def of(self, model: str, version: str = "") -> list[Deployment]:
        """Those of a model, or of one version of it."""
        found = [one for one in self.everything() if one.model == model]
        return [one for one in found if version in ("", one.version)]

    def described(self, endpoint: Json) -> Json:
        """The endpoint, each of its DeployedModels with its status: how many replicas take requests now."""
        models = [{**one, **self._status(one["id"])} for one in endpoint.get("deployedModels", ())]
        return {**endpoint, **({"deployedModels": models} if models else {})}

    def close(self) -> None:
        """Stops every container and waits."""
        everything = self.everything()
        with ThreadPoolExecutor(max(1, len(everything)), thread_name_prefix="close") as pool:
            for one in everything:
                pool.submit(one.replicas.close)

    def _status(self, deployed_model_id: str) -> Json:
        """Source: DeployedModel.Status. It is made when it is asked for, so it was updated now."""
        deployment = self.find(deployed_model_id)
        if deployment is None:
            return {}
        said = {"message": deployment.replicas.message} if deployment.replicas.message else {}
        count = deployment.replicas.available
        return {"status": {**said, "lastUpdateTime": now(), "availableReplicaCount": count}}


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
