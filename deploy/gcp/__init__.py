"""Vertex AI: what we want there, and how to get there.

The only folder of deploy/ that imports Google's SDK. A version is a Model of its own, named by its digest,
and not one of the versions of a Model: those are numbered by the service, so that no name says what is in
one, and the last of them cannot be deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import AlreadyExists, NotFound

from deploy.config import DIGEST_ENTRY, Config, container_environment
from deploy.gcp import (
    clients,
    entries,
    examples,
    inventory,
    predictions,
    registry,
    runtimes,
    schedules,
    steps,
    storage,
    terms,
    trainings,
    transforms,
    waiting,
)
from deploy.gcp.clients import told
from deploy.gcp.steps import Move
from deploy.image import fetching
from deploy.plan import Change, Resource, versioned
from deploy.releasing.naming import CANDIDATE, candidate_name, named
from deploy.target import Answer, Event, Heard, Part, Refused, Request, Say, Watch, ignored, unwatched

if TYPE_CHECKING:
    from deploy.package import Archive

# What an endpoint needs besides its version, and what stands upon it; each in the order of making.
BENEATH: tuple[Part, ...] = ()
UPON: tuple[Part, ...] = (schedules,)
PARTS = {part.KIND: part for part in (*BENEATH, *UPON)}
# The serving runtime's own, on both clouds.
HEALTH_ROUTE, PREDICT_ROUTE, PORT = "/ping", "/invocations", 8080


def desired(config: Config, archive: Archive) -> list[Resource]:
    """The archive, its model and the endpoint. Reads nothing."""
    gcp = config.gcp
    key = inventory.archive_key(config.name, archive.digest)
    environment = container_environment(config) | {DIGEST_ENTRY: archive.digest}
    container = {
        "image_uri": gcp.image,
        **fetching.command(config),
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "ports": [{"container_port": PORT}],
        "predict_route": PREDICT_ROUTE,
        "health_route": HEALTH_ROUTE,
    }
    served = {
        "artifact_uri": f"gs://{gcp.bucket}/{key.rpartition('/')[0]}",
        "container_spec": container,
        "description": terms.description(config),
    }
    # Labels of the user's own make another version, too: else nothing would bring a change of theirs there.
    own = {"labels": config.gcp.labels} if config.gcp.labels else {}
    version = versioned(config.name, {**served, **own})
    model = {"display_name": version, **served, "labels": terms.labels(config)}
    upload = {"parent": inventory.place(config), "model_id": version, "model": model}
    return [
        Resource("archive", key, params={"path": str(archive.path), "key": key}),
        Resource("model", version, params=upload),
        *in_service(config, version),
    ]


def in_service(config: Config, version: str, guarded: bool = True) -> list[Resource]:
    """The endpoint that serves this version, between what it needs besides and what stands upon it.

    Where it is not `guarded`, the version takes all traffic at once, whatever deploy.toml says.
    """
    beneath, upon = ([r for part in parts for r in part.desired(config)] for parts in (BENEATH, UPON))
    moved = {**_named(config, config.name), **(steps.rollout(config) if guarded else {})}
    return [*beneath, Resource("endpoint", config.name, version, params=moved), *upon]


def candidate(config: Config, version: str) -> Resource:
    """An endpoint beside that of the deployment, on which this version is asked before it takes traffic."""
    name = candidate_name(config.name)
    return Resource(CANDIDATE, name, version, params=_named(config, name))


def _named(config: Config, name: str) -> dict[str, Any]:
    """CreateEndpoint's request for one of that name."""
    described = {
        "display_name": name,
        "labels": terms.labels(config),
        "dedicated_endpoint_enabled": config.gcp.endpoint == "dedicated",
        **terms.connection(config),
    }
    return {"parent": inventory.place(config), "endpoint_id": name, "endpoint": described}


def example(config: Config, request: Request) -> str:
    """Lines of Python that post the request through google-cloud-aiplatform and print the answer."""
    return examples.program(config, request)


@told()
def check(config: Config) -> None:
    """Fail now if credentials, project, bucket or region are wrong: nothing has been written yet."""
    storage.check(config)
    inventory.describe(config)
    registry.check(config)


@told()
def observed(config: Config) -> list[Resource]:
    """All there is, in the order of `desired`; what is not ours says so."""
    beneath, upon = ([r for part in parts for r in part.observed(config)] for parts in (BENEATH, UPON))
    kits = [*registry.observed(config), *runtimes.observed(config)]
    versions = [*kits, *inventory.archives(config), *inventory.models(config)]
    endpoints = [*inventory.candidate(config), *inventory.endpoint(config)]
    return [*versions, *beneath, *endpoints, *upon]


@told()
def traces(config: Config) -> list[Resource]:
    """All that jobs left. What containers printed, Cloud Logging keeps for its own time in any case."""
    return [*trainings.traces(config), *transforms.traces(config)]


@told()
def settle(config: Config, say: Say) -> None:
    """Return once no operation is at work on the endpoint or its candidate."""
    for name in (config.name, candidate_name(config.name)):
        waiting.settled(named(config, name), say)


def apply(config: Config, change: Change, say: Say, watch: Watch = unwatched) -> None:
    """Make one change and return when it has happened.

    Raises Refused if nothing was changed, NotServed if the endpoint settled on something else.
    """
    if change.resource.kind in {"endpoint", CANDIDATE}:
        with told():
            waiting.make(Move(named(config, change.resource.name), change, say, watch))
    elif change.action == "delete":
        _delete(config, change.resource, say)
    else:
        _create(config, change.resource, say)


@told(Refused)
def _create(config: Config, resource: Resource, say: Say) -> None:
    if resource.kind in PARTS:
        PARTS[resource.kind].make(config, resource, say)
        return
    if resource.kind in (registry.KIND, runtimes.KIND):
        (registry if resource.kind == registry.KIND else runtimes).make(config, resource, say)
        return
    if resource.kind == "archive":
        place = inventory.object_place(config, resource.params["key"])
        storage.add(config, Path(resource.params["path"]), place, say)
        return
    try:
        # A name carries the digest of its parameters: what is there already is what we want.
        uploaded = clients.models(config.gcp.region).upload_model(request=resource.params)
        waiting.finished(uploaded, say, "uploading")
    except AlreadyExists:
        say("is there already")


@told(Refused)
def _delete(config: Config, resource: Resource, say: Say) -> None:
    if resource.kind in PARTS:
        PARTS[resource.kind].remove(config, resource)
    elif resource.kind == "archive":
        storage.remove(config, [inventory.object_place(config, resource.name)])
    elif resource.kind in trainings.LEFT:
        trainings.remove(config, resource)
    elif resource.kind in transforms.LEFT:
        transforms.remove(config, resource)
    else:
        _delete_model(config, resource, say)


def _delete_model(config: Config, resource: Resource, say: Say) -> None:
    try:
        name = inventory.model_name(config, resource.name)
        waiting.finished(clients.models(config.gcp.region).delete_model(name=name), say, "deleting")
    except NotFound:
        say("is gone already")


@told()
def invoke(config: Config, request: Request, heard: Heard = ignored) -> Answer:
    """The endpoint's answer; CloudError with the container's own words if it is none."""
    return predictions.caller(config, heard)(request)


@told()
def caller(config: Config) -> Callable[[Request], Answer]:
    """`invoke`, for many requests; the endpoint is looked up here alone."""
    return predictions.caller(config)


@told()
def status(config: Config) -> dict[str, str]:
    """What the endpoint is and does; empty if there is none."""
    described = inventory.describe(config)
    if described is None:
        return {}
    facts = {
        "endpoint": config.name,
        "project": config.gcp.project,
        "region": config.gcp.region,
        "address": described.dedicated_endpoint_dns,
        "state": _state(config, described),
        "version": inventory.version_of(described),
        "limits": terms.limits(described),
        "machines": ", ".join(_machines(one) for one in described.deployed_models),
        "changed": inventory.in_utc(described.update_time),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _state(config: Config, described: Any) -> str:
    if inventory.running(config):
        return "is being changed"
    return "in service" if inventory.serving(described) else "serves nothing"


def _machines(deployed: Any) -> str:
    resources = deployed.dedicated_resources
    most, least = resources.max_replica_count, resources.min_replica_count
    count = f"{least}" if least == most else f"{least} to {most}"
    machine = resources.machine_spec
    with_ = (
        f" with {machine.accelerator_count} {machine.accelerator_type.name}"
        if machine.accelerator_count
        else ""
    )
    running = deployed.status.available_replica_count
    now = f" ({running} now)" if running and least != most else ""
    return f"{count} x {machine.machine_type}{with_}{now}"


@told()
def logs(config: Config, since: datetime) -> list[Event]:
    """What the containers printed from `since` on, in the order of time."""
    return entries.of_endpoint(config, since)


@told()
def logs_of_new(config: Config, since: datetime) -> list[Event]:
    """The same of those containers alone that are none of what serves; empty if there is none."""
    described = inventory.describe(config)
    serving = {one.id for one in described.deployed_models} if described else set()
    printed = entries.of_endpoint(config, since)
    return [event for event in printed if event.stream.split("/")[0] not in serving]
