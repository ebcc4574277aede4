"""How a container is run: as a process of this machine, or as a container of a real image.

Both get the same contract. Which one it is, SLIPWAY_LOCAL_CONTAINERS says: process, or the tool that runs
images (podman, docker).
"""

from __future__ import annotations

from infra.local.engines.asked import Asked, Engine, ImageMissing, Running
from infra.local.engines.images import Images
from infra.local.engines.own import Own
from infra.local.settings import PROCESS, Settings

__all__ = ["Asked", "Engine", "ImageMissing", "Running", "of"]


def of(settings: Settings) -> Engine:
    """The engine that the settings ask for."""
    return Own() if settings.containers == PROCESS else Images(settings.containers, settings.home)
