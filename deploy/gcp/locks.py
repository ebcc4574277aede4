"""The lock of a deployment: an object of its bucket, written where its generation is the one that was read.

Source: cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

from google.api_core.exceptions import NotFound, PreconditionFailed

from deploy.batch.places import Remote
from deploy.config import Config
from deploy.gcp import clients, storage
from deploy.gcp.clients import told


@told()
def read(config: Config) -> tuple[bytes, str] | None:
    """What the lock holds, and its generation; None where there is no lock."""
    try:
        blob = storage.blob(config, _place(config))
        blob.reload(**clients.bounded())
        this = {"if_generation_match": blob.generation, **clients.bounded()}
        return blob.download_as_bytes(**this), str(blob.generation)
    except (storage.NoBucket, NotFound, PreconditionFailed):
        return None


@told()
def write(config: Config, body: bytes, over: str) -> str | None:
    """Make the lock over that generation, or "" for none; its own then, None where another was quicker.

    "" where there is no bucket.
    """
    try:
        blob = storage.blob(config, _place(config))
        only = {"if_generation_match": int(over or 0), **clients.bounded()}
        blob.upload_from_string(body, content_type="application/json", **only)
    except storage.NoBucket:
        return ""
    except PreconditionFailed:
        return None
    return str(blob.generation)


@told()
def remove(config: Config) -> None:
    """Delete the lock."""
    storage.remove(config, [_place(config)])


def _place(config: Config) -> Remote:
    return Remote(storage.SCHEME, config.gcp.bucket, f"{config.name}/lock.json")
