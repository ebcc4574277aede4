"""The kit's own image in ECR: whether it is there, how it is made, and whether a machine can run an image.

Its repository has immutable tags, and a tag is the digest of all that went in: what is there is what is
wanted.
SageMaker itself turns the tag into the image's digest when a model is deployed.
Source: the SageMaker API's DeployedImage, ResolvedImage.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from deploy import image
from deploy.aws import clients, imagebuilds
from deploy.aws.clients import told
from deploy.config import Config
from deploy.image import machines, making, manifests
from deploy.image.builders import Login
from deploy.image.making import Registry
from deploy.plan import Resource
from deploy.target import CloudError, Say

KIND = image.KIND
_OURS = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
CONFIG_S, CONFIG_BYTES = 10, 4 * 2**20


def observed(config: Config) -> list[Resource]:
    """The kit's image, where it is what is configured and is there."""
    if not image.is_own(config, "aws") or _look(config) is None:
        return []
    return [Resource(KIND, config.aws.image.partition("/")[2], shared=True)]


def make(config: Config, resource: Resource, say: Say) -> None:
    """Build it, here or by CodeBuild, and push it. Raises BuildError where that fails."""
    there = Registry(config.aws.image, _login(config), lambda: _look(config) is not None, imagebuilds.build)
    making.make(config, resource.params["recipe"], there, say)


def _login(config: Config) -> Login:
    """Where the registry is and who may push, as ECR says it. Source: the ECR API's GetAuthorizationToken."""
    (given,) = clients.ecr(config.aws.region).get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return Login(given["proxyEndpoint"], user, password)


@told()
def check(config: Config) -> None:
    """Raise CloudError for an image that the configured instance type cannot run, where ECR tells."""
    found = _look(config)
    if not found:
        return
    built_for = manifests.processors(
        json.loads(found["imageManifest"]), partial(_configuration, config, found)
    )
    wanted = machines.processor(config.aws.instance_type)
    if built_for and wanted not in built_for:
        raise CloudError(
            f"deploy.toml: [aws]: image {config.aws.image!r} is built for {', '.join(sorted(built_for))}, "
            f"and {config.aws.instance_type} has {wanted}: build it with --platform linux/{wanted}, or "
            "choose another instance_type"
        )


def _look(config: Config) -> Mapping[str, Any] | None:
    """The configured image as BatchGetImage has it; None where the account's registry does not tell."""
    named = _OURS.fullmatch(config.aws.image)
    if not named or (named["account"], named["region"]) != (config.aws.account, config.aws.region):
        return None
    wanted: Any = (
        {"imageDigest": named["digest"]} if named["digest"] else {"imageTag": named["tag"] or "latest"}
    )
    try:
        answer = clients.ecr(config.aws.region).batch_get_image(
            registryId=config.aws.account,
            repositoryName=named["repository"],
            imageIds=[wanted],
            acceptedMediaTypes=list(manifests.MANIFESTS),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in {"RepositoryNotFoundException", "AccessDeniedException"}:
            return None
        raise
    return next(iter(answer["images"]), None)


def _configuration(config: Config, found: Mapping[str, Any], digest: str) -> dict[str, Any]:
    try:
        layer = clients.ecr(config.aws.region).get_download_url_for_layer(
            registryId=config.aws.account, repositoryName=found["repositoryName"], layerDigest=digest
        )
        with urllib.request.urlopen(layer["downloadUrl"], timeout=CONFIG_S) as body:  # noqa: S310 - ECR's own
            read: dict[str, Any] = json.loads(body.read(CONFIG_BYTES))
            return read
    except (ClientError, OSError, ValueError):  # what is not told stops nobody
        return {}
