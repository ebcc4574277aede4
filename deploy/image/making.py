"""The kit's image made, by the tool of this machine that works or by the cloud, and seen in its registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deploy.config import Config
from deploy.image import builders
from deploy.image.builders import BuildError, Login
from deploy.image.recipes import Recipe
from deploy.target import Say


@dataclass(frozen=True)
class Registry:
    """Where an image goes: who may push, whether it is there, and what has the cloud build it."""

    image: str
    login: Login
    is_there: Callable[[], bool]
    build: Callable[[Config, Recipe, Say], None]


def make(config: Config, recipe: Recipe, registry: Registry, say: Say) -> None:
    """Build and push it. Raises BuildError where that fails."""
    tool = builders.choose(config.image.builder, registry.login.address)
    try:
        if tool == builders.CLOUD:
            registry.build(config, recipe, say)
        else:
            builders.build(tool, recipe, registry.login, say)
    except BuildError:
        # Another deploy may have built the same meanwhile: its tag cannot be pushed twice.
        if not registry.is_there():
            raise
    if not registry.is_there():
        raise BuildError(f"{registry.image} was built and is not in its registry")
