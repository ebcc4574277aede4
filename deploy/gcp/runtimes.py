"""The runtime that a container fetches, an object in the bucket: whether it is there, how it comes there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy.config import Config
from deploy.gcp import inventory, storage
from deploy.image import fetching
from deploy.plan import Resource
from deploy.target import Say

KIND = fetching.KIND


def observed(config: Config) -> list[Resource]:
    """The configured runtime, where one is to be fetched and is there."""
    if config.image.kind != "fetched" or not config.image.runtime:
        return []
    key = config.image.runtime.removeprefix("gs://").partition("/")[2]
    there = storage.found(config, inventory.object_place(config, key))
    return [Resource(KIND, key, shared=True)] if there else []


def make(config: Config, resource: Resource, say: Say) -> None:
    """Put it there, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="slipway-runtime-") as folder:
        archive = Path(folder, "runtime.zip")
        archive.write_bytes(resource.params["body"])
        storage.add(config, archive, inventory.object_place(config, resource.name), say)
