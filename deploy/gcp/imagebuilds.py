"""Images built by Cloud Build, where this machine has nothing to build with; infra/gcp makes its account.

Source: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.builds
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from google.api_core import exceptions

from deploy.config import Config
from deploy.gcp import clients, entries, inventory, storage
from deploy.gcp.clients import told
from deploy.image.builders import ENVIRONMENT, BuildError
from deploy.image.following import Look, follow
from deploy.image.recipes import Recipe
from deploy.target import Say

USUAL = "https://cloudbuild.googleapis.com"
PREFIX = "_builds/"  # no deployment's name begins so
BUILDER, TIMEOUT = "slipway-builder", "3600s"
TIMEOUT_S = 60.0
RUNNING = {"STATUS_UNKNOWN", "PENDING", "QUEUED", "WORKING"}
LATE = timedelta(seconds=10)  # a line may arrive later than one that is younger


def build(config: Config, recipe: Recipe, say: Say) -> None:
    """Have Cloud Build build and push the image, and return when it has. Raises BuildError where it fails.

    Ctrl-C cancels the build.
    """
    if recipe.platform != "linux/amd64":
        raise BuildError(
            f"Cloud Build builds for linux/amd64, and {config.gcp.machine_type} needs {recipe.platform}: "
            "install docker, podman or buildah, or name an image in deploy.toml: [gcp]"
        )
    key = f"{PREFIX}{recipe.tag}.zip"
    _send(config, recipe, key, say)
    name = _called("POST", f"{inventory.place(config)}/builds", request(config, recipe, key))
    number = name["metadata"]["build"]["id"]
    log = _Log(config, number)
    follow(number, partial(_look, config, number, log), partial(_cancel, config, number), say)


def _send(config: Config, recipe: Recipe, key: str, say: Say) -> None:
    say("sending the image's files to Cloud Build")
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as folder:
        archive = Path(folder, "context.zip")
        archive.write_bytes(recipe.context.zipped())
        storage.add(config, archive, inventory.object_place(config, key), say)


def request(config: Config, recipe: Recipe, key: str) -> dict[str, Any]:
    """The build. Reads nothing. No word of its arguments has a `$`, which Cloud Build would replace."""
    gcp = config.gcp
    step = {
        "name": "gcr.io/cloud-builders/docker",
        "args": ["build", *recipe.options, f"--tag={gcp.image}", "."],
        "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
    }
    account = f"{BUILDER}@{gcp.project}.iam.gserviceaccount.com"
    return {
        "source": {"storageSource": {"bucket": gcp.bucket, "object": key}},
        "steps": [step],
        "images": [gcp.image],
        "timeout": TIMEOUT,
        "serviceAccount": f"projects/{gcp.project}/serviceAccounts/{account}",
        # A build that runs as an account of one's own must say where it logs.
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
    }


class _Log:
    """What a build printed, each line once."""

    def __init__(self, config: Config, number: str) -> None:
        self._config, self._number = config, number
        self._seen: set[str] = set()
        self._since = datetime.now(UTC) - LATE

    def new(self) -> list[str]:
        """The lines since the last time; none where the log cannot be read, without which a build goes on."""
        try:
            found = entries.of_build(self._config, self._number, self._since)
        except exceptions.GoogleAPICallError:
            return []
        new = [event for event in found if event.id not in self._seen]
        self._seen |= {event.id for event in new}
        self._since = max([self._since, *(event.time - LATE for event in new)])
        return [event.text for event in new]


@told()
def _look(config: Config, number: str, log: _Log) -> Look:
    seen = _called("GET", f"{inventory.place(config)}/builds/{number}")
    lines, status = log.new(), seen.get("status", "STATUS_UNKNOWN")
    if status in RUNNING:
        return Look("running", status, lines)
    if status == "SUCCESS":
        return Look("done", status, lines)
    why = seen.get("statusDetail") or seen.get("failureInfo", {}).get("detail", "")
    return Look("failed", status, lines, why)


@told()
def _cancel(config: Config, number: str) -> None:
    _called("POST", f"{inventory.place(config)}/builds/{number}:cancel", {})


def _called(method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the Cloud Build API. Raises Google's own exceptions."""
    url = f"{clients.address('CLOUDBUILD', USUAL)}/v1/{name}"
    answer = clients.session().request(method, url, json=body, timeout=TIMEOUT_S)
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return dict(answer.json())
