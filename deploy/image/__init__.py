"""The serving image: what goes into it, what it is called, and who builds it where it is not there yet.

Where deploy.toml names no image, the kit's own is meant. Its tag is the digest of all that goes in, so it is
built where no image of that tag is, and never for an edit of a handler. It belongs to the account, where
several deployments may share it: a deploy makes it where it is missing and takes none away.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deploy.image import fetching, rayserve, recipes
from deploy.image.context import ContextError
from deploy.image.recipes import REPOSITORY, TAG, Recipe
from deploy.plan import Resource

if TYPE_CHECKING:
    from deploy.config import Config

__all__ = ["KIND", "ContextError", "Recipe", "desired", "is_own", "resolved"]
KIND = "image"
# What needs no build, and the one cloud that has it.
ON = {"ray-serve": "aws", "fetched": "gcp"}


def resolved(config: Config, project: Path, cloud: str) -> Config:
    """The configuration with the URI of the kit's own image where it names none. Reads files, no network.

    Raises ContextError for a project of which no image can be built.
    """
    _check_kind(config, cloud)
    if config.image.kind == "fetched":
        return fetching.resolved(config, project)
    if config.image.kind == "ray-serve":
        return rayserve.resolved(config)
    if getattr(config, cloud).image:
        return config
    return _with(config, cloud, _uri(config, cloud, recipes.recipe(config, project, cloud)))


def desired(config: Config, project: Path, cloud: str) -> list[Resource]:
    """The kit's image, if it is what the resolved configuration names; params["recipe"] builds it.

    Where the runtime is fetched, that is what it is.
    """
    if config.image.kind == "fetched":
        return fetching.desired(config, project)
    if not is_own(config, cloud):
        return []
    recipe = recipes.recipe(config, project, cloud)
    if getattr(config, cloud).image != _uri(config, cloud, recipe):
        return []  # an older one, which deploy.toml names
    return [Resource(KIND, recipe.name, params={"recipe": recipe}, shared=True)]


def _check_kind(config: Config, cloud: str) -> None:
    wanted = ON.get(config.image.kind, cloud)
    if wanted != cloud:
        raise ContextError(
            f'deploy.toml: [image]: kind = "{config.image.kind}"',
            f"is for CLOUD={wanted} alone",
            f'on this cloud take "built", or "{next(kind for kind, on in ON.items() if on == cloud)}"',
        )


def is_own(config: Config, cloud: str) -> bool:
    """Whether the configured image is one that the kit builds: by its repository and the form of its tag."""
    repository, _, tag = getattr(config, cloud).image.rpartition(":")
    return repository == f"{_registry(config, cloud)}/{REPOSITORY}" and bool(TAG.fullmatch(tag))


def _with(config: Config, cloud: str, uri: str) -> Config:
    return config.model_copy(update={cloud: getattr(config, cloud).model_copy(update={"image": uri})})


def _uri(config: Config, cloud: str, recipe: Recipe) -> str:
    return f"{_registry(config, cloud)}/{recipe.name}"


def _registry(config: Config, cloud: str) -> str:
    """Where the account's images are, as both clouds address them from within."""
    if cloud == "gcp":
        return f"{config.gcp.region}-docker.pkg.dev/{config.gcp.project}"
    aws = config.aws
    # Source: docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
    suffix = "amazonaws.com.cn" if aws.region.startswith("cn-") else "amazonaws.com"
    return f"{aws.account}.dkr.ecr.{aws.region}.{suffix}"
