"""Images built by CodeBuild, where this machine has nothing to build with: infra/aws makes the project.

The project's buildspec gives docker the options of the file build-arguments, each line one word, so that no
shell reads what stands in them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, cloudwatch
from deploy.aws.clients import told
from deploy.aws.stacks.parameters import stack_name
from deploy.config import Config
from deploy.image import following
from deploy.image.builders import ENVIRONMENT, BuildError
from deploy.image.context import File
from deploy.image.following import Look
from deploy.image.printed import Printed
from deploy.image.recipes import OPTIONS_FILE, Recipe
from deploy.target import Event, Refused, Say

PREFIX = "_builds/"  # no deployment's name begins so
RUN = "SLIPWAY_RUN"  # the variable that says of a build which run started it
# Source: docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
ARM = {
    "environmentTypeOverride": "ARM_CONTAINER",
    "imageOverride": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
}


def build(config: Config, recipe: Recipe, say: Say) -> None:
    """Have CodeBuild build and push the image, and return when it has. Raises BuildError where it fails.

    Ctrl-C stops the build, unless another run started it.
    """
    following.build(_Builds(config, recipe, say), say)


def request(config: Config, recipe: Recipe, run: str) -> dict[str, Any]:
    """StartBuild's request, by which a run's build is known. Reads nothing."""
    variables = {**_of_image(config), **ENVIRONMENT, RUN: run}
    return {
        "projectName": stack_name(config),  # the one project that the stack makes
        # The SDK asks again where no answer came, and is not to start a second build by that.
        "idempotencyToken": run,
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": f"{config.aws.bucket}/{_key(recipe)}",
        "environmentVariablesOverride": [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
        **(ARM if recipe.platform == "linux/arm64" else {}),
    }


def _of_image(config: Config) -> dict[str, str]:
    """The variables that say of a build which image it makes."""
    repository, _, tag = config.aws.image.partition("/")[2].rpartition(":")
    return {"REPOSITORY": repository, "TAG": tag}


def _key(recipe: Recipe) -> str:
    return f"{PREFIX}{recipe.tag}.zip"


class _Builds:
    """The image's builds in the project; see deploy.image.following.Builds."""

    def __init__(self, config: Config, recipe: Recipe, say: Say) -> None:
        self._config, self._recipe, self._say = config, recipe, say
        self._run, self._printed = uuid.uuid4().hex, Printed()
        self._client = clients.codebuild(config.aws.region)

    def running(self, own: bool = False) -> str:
        wanted = {**_of_image(self._config), **({RUN: self._run} if own else {})}
        with told(), _project_named(self._config):
            # The newest hundred: whatever runs is no older than two hours.
            listed = self._client.list_builds_for_project(projectName=stack_name(self._config))["ids"]
            found = self._client.batch_get_builds(ids=listed[:100])["builds"] if listed else []
        return next((str(one["id"]) for one in found if _is_running(one) and _has(one, wanted)), "")

    def start(self) -> str:
        with told(Refused):
            self._send()
            with _project_named(self._config):
                asked = request(self._config, self._recipe, self._run)
                return str(self._client.start_build(**asked)["build"]["id"])

    def _send(self) -> None:
        self._say("sending the image's files to CodeBuild")
        clients.s3(self._config.aws.region).put_object(
            Bucket=self._config.aws.bucket,
            Key=_key(self._recipe),
            Body=self._recipe.context.zipped([File(OPTIONS_FILE, _lines(self._recipe))]),
            ExpectedBucketOwner=self._config.aws.account,
        )

    @told()
    def look(self, name: str) -> Look:
        (seen,) = self._client.batch_get_builds(ids=[name])["builds"]
        lines = self._printed.new(partial(self._read, seen.get("logs", {})))
        status, phase = seen["buildStatus"], seen.get("currentPhase", "")
        if _is_running(seen):
            return Look("running", phase, lines)
        if status == "SUCCEEDED":
            return Look("done", phase, lines)
        why = _reason(seen.get("phases", []))
        return Look("stopped" if status == "STOPPED" else "failed", status, lines, why)

    def _read(self, where: Mapping[str, Any], since: datetime) -> list[Event]:
        """The log from then on; nothing before the build has one."""
        group, stream = where.get("groupName"), where.get("streamName")
        if not (group and stream):
            return []
        try:
            return cloudwatch.events(clients.logs(self._config.aws.region), group, since, [stream])
        except ClientError:  # the stream is there with its first line; without its log a build goes on
            return []

    @told()
    def stop(self, name: str) -> None:
        self._client.stop_build(id=name)


def _is_running(build: Mapping[str, Any]) -> bool:
    return bool(build["buildStatus"] == "IN_PROGRESS")


def _has(build: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether the build has these variables, among others."""
    variables = build.get("environment", {}).get("environmentVariables", [])
    return wanted.items() <= {one["name"]: one["value"] for one in variables}.items()


def _lines(recipe: Recipe) -> bytes:
    return "".join(f"{option}\n" for option in recipe.options).encode()


@contextmanager
def _project_named(config: Config) -> Iterator[None]:
    """Tell a project that is not there as what it is."""
    try:
        yield
    except clients.codebuild(config.aws.region).exceptions.ResourceNotFoundException as error:
        raise BuildError(
            f"there is no build project {stack_name(config)}: `make infra` makes it; or install docker, "
            "podman or buildah, or name an image in deploy.toml: [aws]"
        ) from error


def _reason(phases: list[dict[str, Any]]) -> str:
    """What the phases that did not succeed say. Source: the CodeBuild API's BuildPhase, PhaseContext."""
    said = [
        f"{phase['phaseType']}: {one['message']}"
        for phase in phases
        for one in phase.get("contexts", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED") and one.get("message")
    ]
    return "; ".join(said)
