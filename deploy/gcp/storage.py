"""Objects in Cloud Storage, in a bucket of the configured project alone.

A bucket's name proves nothing: somebody else may have taken it first, and wait for what is put there. Only
the listing of a project's own buckets tells whose it is.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

from google.api_core.exceptions import NotFound, PreconditionFailed

from deploy.config import Config
from deploy.gcp import clients
from deploy.target import CloudError, Say


def bucket(config: Config) -> Any:
    """The bucket, once it is known to be the project's. Raises CloudError."""
    return _owned(config.gcp.project, config.gcp.bucket)


@cache
def _owned(project: str, name: str) -> Any:
    with clients.told():
        client = clients.bucket_client(project)
        own = client.list_buckets(project=project, prefix=name)
        found = next((one for one in own if one.name == name), None)
        if found is None:
            raise CloudError(f"deploy.toml: [gcp]: bucket {name!r} {_why(client, name, project)}")
        return found


def _why(client: Any, name: str, project: str) -> str:
    elsewhere = f"is not one of project {project}: whoever has it could read and change your models. "
    try:
        client.get_bucket(name)
    except NotFound:
        return f"is not there: create it in project {project}, or name another"
    except Exception:  # noqa: BLE001,S110 - it is there, and that it may not be read is no other answer
        pass
    return elsewhere + "Name a bucket of that project"


def listed(config: Config, prefix: str) -> list[Any]:
    """All objects whose names begin so."""
    return list(bucket(config).list_blobs(prefix=prefix))


def upload(config: Config, path: Path, key: str, say: Say) -> None:
    """Make the file an object, whole or not at all; one that is there already is left as it is."""
    size = path.stat().st_size
    with _Told(path, say) as file:
        try:
            bucket(config).blob(key).upload_from_file(
                file, size=size, content_type="application/gzip", if_generation_match=0
            )
        except PreconditionFailed:
            say("is there already")


def delete(config: Config, key: str) -> None:
    """Delete the object; one that is not there is no error."""
    try:
        bucket(config).blob(key).delete()
    except NotFound:
        return


class _Told(io.FileIO):
    """A file that says how far it has been read."""

    def __init__(self, path: Path, say: Say) -> None:
        super().__init__(path)
        self._say, self._size = say, max(1, path.stat().st_size)

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        self._say(f"{self.tell() / self._size:.0%} of {self._size / 1e6:,.1f} MB")
        return piece
