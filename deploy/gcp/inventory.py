"""What is there of a deployment in a Google Cloud project: read, never written.

A name that matches is not enough: what Vertex AI holds is ours only with the label slipway-deployment=<name>.
Archives lie in a bucket of the user's own, under names that nothing else has.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from google.api_core.exceptions import NotFound

from deploy.batch.places import Remote
from deploy.config import Config
from deploy.gcp import clients, storage
from deploy.plan import Key, Resource, Seen, is_version_of
from deploy.releasing.naming import CANDIDATE, candidate_name, named

OWNER_LABEL, SERVED_LABEL = "slipway-deployment", "slipway-served"
ARCHIVE = "model.tar.gz"
OTHER_KIND = (
    "endpoint {name!r} is {there}, and deploy.toml says {wanted}: Vertex AI cannot change the one into the "
    'other. `destroy` and deploy again, or set [gcp] endpoint = "{there}"'
)


def archive_key(name: str, digest: str) -> str:
    return f"{name}/{digest[:12]}/{ARCHIVE}"


def is_archive(name: str, key: str) -> bool:
    return re.fullmatch(re.escape(name) + r"/[0-9a-f]{12}/" + re.escape(ARCHIVE), key) is not None


def place(config: Config) -> str:
    return f"projects/{config.gcp.project}/locations/{config.gcp.region}"


def object_place(config: Config, key: str) -> Remote:
    """A key in the bucket that deploy.toml names."""
    return Remote(storage.SCHEME, config.gcp.bucket, key)


def model_name(config: Config, version: str) -> str:
    return f"{place(config)}/models/{version}"


def endpoint_name(config: Config) -> str:
    return f"{place(config)}/endpoints/{config.name}"


def last(resource_name: str) -> str:
    """The ID in a resource's name, without the number of a model's version."""
    return resource_name.rpartition("/")[2].partition("@")[0]


def archives(config: Config) -> list[Resource]:
    there = storage.left(config, object_place(config, f"{config.name}/"))
    ours = [one for one in there if is_archive(config.name, one.key)]
    return [Resource("archive", one.key, seen=Seen(in_utc(one.modified))) for one in ours]


def models(config: Config) -> list[Resource]:
    listed = clients.models(config.gcp.region).list_models(
        request={"parent": place(config), "page_size": 100}, retry=clients.READ
    )
    return [_model(config, model) for model in listed if is_version_of(config.name, last(model.name))]


def _model(config: Config, model: Any) -> Resource:
    labels = model.labels
    seen = Seen(
        in_utc(model.create_time),
        labels.get(SERVED_LABEL, ""),
        ours=labels.get(OWNER_LABEL) == config.name,
    )
    bucket, _, folder = model.artifact_uri.removeprefix("gs://").partition("/")
    archive = f"{folder.rstrip('/')}/{ARCHIVE}"
    needs: tuple[Key, ...] = (("archive", archive),) if bucket == config.gcp.bucket else ()
    return Resource("model", last(model.name), needs=needs, seen=seen)


def endpoint(config: Config) -> list[Resource]:
    """The endpoint of this name, ours or not; an empty list if there is none."""
    return _endpoint(config, Resource("endpoint", config.name))


def candidate(config: Config) -> list[Resource]:
    """The endpoint beside it, ours or a deployment's of that name; none but while one is asked, or left."""
    return _endpoint(config, Resource(CANDIDATE, candidate_name(config.name)))


def _endpoint(config: Config, wanted: Resource) -> list[Resource]:
    described = describe(named(config, wanted.name))
    if described is None:
        return []
    there = "dedicated" if described.dedicated_endpoint_enabled else "shared"
    kind = config.gcp.endpoint
    seen = Seen(
        in_utc(described.create_time),
        ours=described.labels.get(OWNER_LABEL) == config.name,
        stuck=OTHER_KIND.format(name=wanted.name, there=there, wanted=kind) if there != kind else "",
    )
    needs = tuple(("model", version) for version in serving(described))
    return [replace(wanted, version=version_of(described), needs=needs, seen=seen)]


def describe(config: Config) -> Any:
    """The endpoint as GetEndpoint has it; None if there is no such endpoint."""
    try:
        return clients.endpoints(config.gcp.region).get_endpoint(
            name=endpoint_name(config), retry=clients.READ
        )
    except NotFound:
        return None


def serving(described: Any) -> list[str]:
    """The versions that have traffic."""
    split = described.traffic_split
    return sorted({last(one.model) for one in described.deployed_models if split.get(one.id, 0)})


def version_of(described: Any) -> str:
    """What the endpoint points at: one version with all traffic and nothing beside it, else all there are.

    A deploy that was stopped leaves the version before on its machine, billed and idle: that is no state to
    call "nothing to change".
    """
    deployed = sorted(last(one.model) for one in described.deployed_models)
    return " + ".join(deployed) if len(deployed) > 1 or serving(described) else ""


def running(config: Config) -> list[Any]:
    """The operations on the endpoint that have not ended."""
    found, page = [], ""
    while True:
        listed = clients.endpoints(config.gcp.region).list_operations(
            {"name": endpoint_name(config), "page_size": 100, "page_token": page}
        )
        found += [operation for operation in listed.operations if not operation.done]
        page = listed.next_page_token
        if not page:
            return found


def in_utc(moment: datetime) -> str:
    """A moment as text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
