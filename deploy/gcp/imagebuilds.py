"""Images built by Cloud Build, where this machine has nothing to build with; infra/gcp makes its account.

Source: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.builds
"""

from __future__ import annotations

import tempfile
import uuid
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from google.api_core import exceptions

from deploy.config import Config
from deploy.gcp import clients, entries, inventory, storage
from deploy.gcp.clients import told
from deploy.image import following
from deploy.image.builders import ENVIRONMENT, BuildError
from deploy.image.following import Look
from deploy.image.printed import Printed
from deploy.image.recipes import Recipe
from deploy.target import Event, Refused, Say

USUAL = "https://cloudbuild.googleapis.com"
PREFIX = "_builds/"  # no deployment's name begins so
BUILDER, TIMEOUT = "slipway-builder", "3600s"
TIMEOUT_S = 60.0
RUNNING = {"STATUS_UNKNOWN", "PENDING", "QUEUED", "WORKING"}


def build(config: Config, recipe: Recipe, say: Say) -> None:
    """Have Cloud Build build and push the image, and return when it has. Raises BuildError where it fails.

    Ctrl-C cancels the build, unless another run started it.
    """
    if recipe.platform != "linux/amd64":
        raise BuildError(
            f"Cloud Build builds for linux/amd64, and {config.gcp.machine_type} needs {recipe.platform}: "
            "install docker, podman or buildah, or name an image in deploy.toml: [gcp]"
        )
    following.build(_Builds(config, recipe, say), say)


def request(config: Config, recipe: Recipe, run: str) -> dict[str, Any]:
    """The build, by whose tags a run's is known. Reads nothing.

    No word of its arguments has a `$`, which Cloud Build would replace.
    """
    gcp = config.gcp
    step = {
        "name": "gcr.io/cloud-builders/docker",
        "args": ["build", *recipe.options, f"--tag={gcp.image}", "."],
        "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
    }
    account = f"{BUILDER}@{gcp.project}.iam.gserviceaccount.com"
    return {
        "source": {"storageSource": {"bucket": gcp.bucket, "object": _key(recipe)}},
        "steps": [step],
        "images": [gcp.image],
        "tags": [_mark(recipe), run],
        "timeout": TIMEOUT,
        "serviceAccount": f"projects/{gcp.project}/serviceAccounts/{account}",
        # A build that runs as an account of one's own must say where it logs.
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
    }


def _mark(recipe: Recipe) -> str:
    """The tag of all builds of this image: a build's tags are not its image's."""
    return f"slipway-{recipe.tag}"


def _key(recipe: Recipe) -> str:
    return f"{PREFIX}{recipe.tag}.zip"


class _Builds:
    """The image's builds in the project; see deploy.image.following.Builds."""

    def __init__(self, config: Config, recipe: Recipe, say: Say) -> None:
        self._config, self._recipe, self._say = config, recipe, say
        self._run, self._printed = f"run-{uuid.uuid4().hex}", Printed()
        self._place = f"{inventory.place(config)}/builds"

    @told()
    def running(self, own: bool = False) -> str:
        # Newest first. Source: what `gcloud builds list --filter=tags=…` sends, filter_rewrite.py of gcloud.
        asked = {"filter": f'tags="{self._run if own else _mark(self._recipe)}"', "pageSize": 100}
        found = _called("GET", f"{self._place}?{urlencode(asked)}").get("builds", [])
        running = [one for one in found if one.get("status") in RUNNING]
        return next((one["id"] for one in running if self._config.gcp.image in one.get("images", [])), "")

    def start(self) -> str:
        with told(Refused):
            self._send()
            begun = _called("POST", self._place, request(self._config, self._recipe, self._run))
            return str(begun["metadata"]["build"]["id"])

    def _send(self) -> None:
        self._say("sending the image's files to Cloud Build")
        with tempfile.TemporaryDirectory(prefix="slipway-image-") as folder:
            archive = Path(folder, "context.zip")
            archive.write_bytes(self._recipe.context.zipped())
            there = inventory.object_place(self._config, _key(self._recipe))
            storage.add(self._config, archive, there, self._say)

    @told()
    def look(self, name: str) -> Look:
        seen = _called("GET", f"{self._place}/{name}")
        lines = self._printed.new(partial(self._read, name))
        status = seen.get("status", "STATUS_UNKNOWN")
        if status in RUNNING:
            return Look("running", status, lines)
        if status == "SUCCESS":
            return Look("done", status, lines)
        why = seen.get("statusDetail") or seen.get("failureInfo", {}).get("detail", "")
        return Look("stopped" if status == "CANCELLED" else "failed", status, lines, why)

    def _read(self, name: str, since: datetime) -> list[Event]:
        try:
            return entries.of_build(self._config, name, since)
        except exceptions.GoogleAPICallError:  # a build goes on without its log
            return []

    @told()
    def stop(self, name: str) -> None:
        _called("POST", f"{self._place}/{name}:cancel", {})


def _called(method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the Cloud Build API. Raises Google's own exceptions."""
    url = f"{clients.address('CLOUDBUILD', USUAL)}/v1/{name}"
    answer = clients.session().request(method, url, json=body, timeout=TIMEOUT_S)
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return dict(answer.json())
