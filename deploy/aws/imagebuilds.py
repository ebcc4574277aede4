"""Images built by CodeBuild, where this machine has nothing to build with: infra/aws makes the project.

The project's buildspec gives docker the options of the file build-arguments, each line one word, so that no
shell reads what stands in them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, cloudwatch
from deploy.aws.clients import told
from deploy.aws.stacks.parameters import stack_name
from deploy.config import Config
from deploy.image.builders import ENVIRONMENT, BuildError
from deploy.image.context import File
from deploy.image.following import Look, follow
from deploy.image.recipes import OPTIONS_FILE, Recipe
from deploy.target import Say

PREFIX = "_builds/"  # no deployment's name begins so
# Source: docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
ARM = {
    "environmentTypeOverride": "ARM_CONTAINER",
    "imageOverride": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
}
LATE = timedelta(seconds=10)  # a line may arrive later than one that is younger


def build(config: Config, recipe: Recipe, say: Say) -> None:
    """Have CodeBuild build and push the image, and return when it has. Raises BuildError where it fails.

    Ctrl-C stops the build.
    """
    key = f"{PREFIX}{recipe.tag}.zip"
    say("sending the image's files to CodeBuild")
    clients.s3(config.aws.region).put_object(
        Bucket=config.aws.bucket,
        Key=key,
        Body=recipe.context.zipped([File(OPTIONS_FILE, _lines(recipe))]),
        ExpectedBucketOwner=config.aws.account,
    )
    started = _start(config, request(config, recipe, key))
    log = _Log(config)
    follow(
        started["id"], partial(_look, config, started["id"], log), partial(_stop, config, started["id"]), say
    )


def request(config: Config, recipe: Recipe, key: str) -> dict[str, Any]:
    """StartBuild's request. Reads nothing."""
    repository, _, tag = config.aws.image.partition("/")[2].rpartition(":")
    variables = {"REPOSITORY": repository, "TAG": tag, **ENVIRONMENT}
    return {
        "projectName": stack_name(config),  # the one project that the stack makes
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": f"{config.aws.bucket}/{key}",
        "environmentVariablesOverride": [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
        **(ARM if recipe.platform == "linux/arm64" else {}),
    }


def _lines(recipe: Recipe) -> bytes:
    return "".join(f"{option}\n" for option in recipe.options).encode()


def _start(config: Config, request: dict[str, Any]) -> Any:
    codebuild = clients.codebuild(config.aws.region)
    try:
        return codebuild.start_build(**request)["build"]
    except codebuild.exceptions.ResourceNotFoundException as error:
        raise BuildError(
            f"there is no build project {request['projectName']}: `make infra` makes it; or install docker, "
            "podman or buildah, or name an image in deploy.toml: [aws]"
        ) from error


class _Log:
    """What a build printed, each line once."""

    def __init__(self, config: Config) -> None:
        self._client = clients.logs(config.aws.region)
        self._seen: set[str] = set()
        self._since = datetime.now(UTC) - LATE

    def new(self, where: dict[str, Any]) -> list[str]:
        """The lines since the last time; none before the build has a log."""
        group, stream = where.get("groupName"), where.get("streamName")
        if not (group and stream):
            return []
        try:
            found = cloudwatch.events(self._client, group, self._since, [stream])
        except ClientError:  # the stream is there with its first line; without its log a build goes on
            return []
        new = [event for event in found if event.id not in self._seen]
        self._seen |= {event.id for event in new}
        self._since = max([self._since, *(event.time - LATE for event in new)])
        return [event.text for event in new]


@told()
def _look(config: Config, build: str, log: _Log) -> Look:
    (seen,) = clients.codebuild(config.aws.region).batch_get_builds(ids=[build])["builds"]
    lines, status = log.new(seen.get("logs", {})), seen["buildStatus"]
    phase = seen.get("currentPhase", "")
    if status == "IN_PROGRESS":
        return Look("running", phase, lines)
    if status == "SUCCEEDED":
        return Look("done", phase, lines)
    return Look("failed", status, lines, _reason(seen.get("phases", [])))


def _reason(phases: list[dict[str, Any]]) -> str:
    """What the phases that did not succeed say. Source: the CodeBuild API's BuildPhase, PhaseContext."""
    said = [
        f"{phase['phaseType']}: {one['message']}"
        for phase in phases
        for one in phase.get("contexts", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED") and one.get("message")
    ]
    return "; ".join(said)


@told()
def _stop(config: Config, build: str) -> None:
    clients.codebuild(config.aws.region).stop_build(id=build)
