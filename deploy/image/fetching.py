"""Vertex AI without any build: an image of Python that fetches the runtime from the bucket when it starts.

It starts slower than an image of its own, since pip installs at each start, and needs the package index then.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from deploy.config import Config
from deploy.image import context as contexts
from deploy.image.context import KIT, ContextError
from deploy.plan import Resource

KIND = "runtime"
FOLDER = "_runtimes"  # no deployment's name begins so
PROGRAM = KIT / "infra/image/fetch.py"


def resolved(config: Config, project: Path) -> Config:
    """The configuration with the address of the runtime to fetch, where it names none.

    Raises ContextError where no image is named to run it in, or for files that may not go in.
    """
    if not config.gcp.image:
        raise ContextError(
            'deploy.toml: [image]: kind = "fetched"',
            "names no image to run it in",
            "set [gcp] image to one with Python 3.11 or newer and pip",
        )
    if config.image.runtime:
        return config
    digest = hashlib.sha256(contexts.read(project).zipped()).hexdigest()
    runtime = f"gs://{config.gcp.bucket}/{FOLDER}/{digest}.zip"
    return config.model_copy(update={"image": config.image.model_copy(update={"runtime": runtime})})


def desired(config: Config, project: Path) -> list[Resource]:
    """The runtime's archive, if it is what the resolved configuration names; params["body"] is it."""
    body = contexts.read(project).zipped()
    key = f"{FOLDER}/{hashlib.sha256(body).hexdigest()}.zip"
    if config.image.runtime != f"gs://{config.gcp.bucket}/{key}":
        return []  # another one, which deploy.toml names
    return [Resource(KIND, key, params={"body": body}, shared=True)]


def command(config: Config) -> dict[str, list[str]]:
    """What a container's specification says beside the image: nothing for one that holds the runtime."""
    if config.image.kind != "fetched":
        return {}
    return {"command": ["python3", "-c", PROGRAM.read_text()], "args": [config.image.runtime]}
