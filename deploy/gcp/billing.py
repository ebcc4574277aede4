"""What Vertex AI bills of a deployment: by deploy.toml, now, and what is left of it at the end.

The functions are those of `deploy.money.billing.Billing`.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from deploy.config import Config
from deploy.gcp import clients, inventory, prices, schedules, states, terms
from deploy.gcp.clients import told
from deploy.money.billing import Running
from deploy.money.machines import Machines, Use
from deploy.sections import Batch

price = prices.price
ends = told()(schedules.ends)
_TYPE = re.compile(r"(?P<family>[a-z0-9]+-[a-z]+)-(?P<cores>[0-9]+)")
_FEWEST_CORES = 2  # Source: cloud.google.com/vertex-ai/docs/predictions/configure-compute


def serving(config: Config) -> Machines | None:
    """What deploy.toml has the endpoint run on."""
    scaling, gcp = config.endpoint.scaling, config.gcp
    least, most = (scaling.min, scaling.max) if scaling else (gcp.min_replicas, gcp.max_replicas or 0)
    return _machines(config, "hosting", terms.machine(config), (least, most))


def training(config: Config) -> Machines:
    """What deploy.toml has a custom job run on."""
    machine = config.training.machine_type or config.gcp.machine_type
    return _machines(config, "training", {"machine_type": machine}, (1, 0))


def scoring(config: Config, settings: Batch) -> Machines:
    """What a batch prediction job with these settings runs on: of its machines, the list has one price."""
    own = {"machine_type": settings.machine_type} if settings.machine_type else terms.machine(config)
    return _machines(config, "hosting", own, (settings.instance_count, 0))


def _machines(config: Config, use: Use, spec: dict[str, Any], counts: tuple[int, int]) -> Machines:
    return Machines(
        "gcp",
        config.gcp.region,
        use,
        spec["machine_type"],
        *counts,
        accelerator=spec.get("accelerator_type", ""),
        accelerators=spec.get("accelerator_count", 0),
    )


def smaller(machines: Machines) -> Machines | None:
    """The type with the next power of two of cores below; None with accelerators, which fit few types."""
    found = _TYPE.fullmatch(machines.type)
    cores = int(found["cores"]) if found and not machines.accelerators else 0
    if not found or cores <= _FEWEST_CORES:
        return None
    below = 1 << (cores - 1).bit_length() - 1
    return Machines("gcp", machines.region, machines.use, f"{found['family']}-{below}", machines.count)


@told()
def running(config: Config) -> Running | None:
    """The endpoint with the machines that it has now; None if there is none."""
    described = inventory.describe(config)
    if described is None:
        return None
    deployed = list(described.deployed_models)
    since = min((one.create_time for one in deployed), default=described.create_time)
    return Running(since.astimezone(UTC), tuple(_deployed(config, one) for one in deployed))


def _deployed(config: Config, deployed: Any) -> Machines:
    resources = deployed.dedicated_resources
    machine = resources.machine_spec
    # Before any is available the least of them start, and are billed already.
    now = deployed.status.available_replica_count or resources.min_replica_count
    counts = now, resources.max_replica_count
    count = machine.accelerator_count
    spec = {
        "machine_type": machine.machine_type,
        "accelerator_type": machine.accelerator_type.name if count else "",
        "accelerator_count": count,
    }
    return _machines(config, "hosting", spec, counts)


@told()
def left(config: Config) -> list[str]:
    """What carries the deployment's label and is billed: endpoints with a model, and jobs that run.

    Models cost nothing, nor do endpoints without one. Objects, `traces` and `observed` find.
    """
    parent, region = {"parent": inventory.place(config), "page_size": 100}, config.gcp.region
    moving = parent | {"filter": states.UNENDED}
    endpoints = clients.endpoints(region).list_endpoints(request=parent, retry=clients.READ)
    customs = clients.jobs(region).list_custom_jobs(request=moving, retry=clients.READ)
    batches = clients.jobs(region).list_batch_prediction_jobs(request=moving, retry=clients.READ)
    found = [
        f"endpoint {inventory.last(one.name)} with a model on it, billed by the hour"
        for one in endpoints
        if _is_ours(config, one) and one.deployed_models
    ]
    jobs = {"custom job": customs, "batch prediction job": batches}
    return found + [
        f"{kind} {one.display_name} ({states.own(one.state)}), billed until it ends"
        for kind, listed in jobs.items()
        for one in listed
        if _is_ours(config, one) and states.word(one.state) in states.MOVING
    ]


def _is_ours(config: Config, one: Any) -> bool:
    return bool(one.labels.get(inventory.OWNER_LABEL) == config.name)
