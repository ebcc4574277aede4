"""One image: the files and options that it is built of, and the digest of both, which names it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.config import Config
from deploy.image import context as contexts
from deploy.image import dockerfile, machines
from deploy.image.context import Context, ContextError
from deploy.sections.image import OWN

REPOSITORY = "slipway/serving"
# Of the CUDAs that torch is built for, the one that the oldest drivers run: 12.x runs on any 12's.
# Source: docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility".
CUDA = "cu126"
TAG = re.compile(r"[0-9a-f]{16}")
OPTIONS_FILE = "build-arguments"  # in a context for the cloud: docker's further arguments, one a line


@dataclass(frozen=True)
class Recipe:
    """What an image is built of, for which platform (linux/amd64), with which arguments of the Dockerfile."""

    context: Context
    platform: str
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def tag(self) -> str:
        """16 digits of a digest over all of it: another tag for any other image."""
        told = json.dumps([self.context.digest, self.platform, self.arguments])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{REPOSITORY}:{self.tag}"

    @property
    def options(self) -> list[str]:
        """What docker, podman and buildah are to be given besides tag and folder, each word by itself."""
        given = [f"--build-arg={name}={value}" for name, value in self.arguments]
        known = dockerfile.arguments(self.context.dockerfile)
        digest = [f"--build-arg=INPUTS={self.tag}"] if "INPUTS" in known else []
        return [f"--file={contexts.DOCKERFILE}", f"--platform={self.platform}", *given, *digest]


def recipe(config: Config, project: Path, cloud: str) -> Recipe:
    """The image that this project needs on this cloud. Reads files and no network.

    Raises ContextError for files that may not go in, or for an argument that the Dockerfile does not know.
    """
    context = contexts.read(project)
    known = dockerfile.arguments(context.dockerfile)
    machine, gpu = _machine(config, cloud)
    wanted = _by_itself(context, gpu, known) | _asked(config)
    if unknown := sorted(wanted.keys() - known):
        raise ContextError(
            f"deploy.toml: [image]: {unknown[0]}",
            f"is no ARG of {contexts.DOCKERFILE}",
            f"name one of {', '.join(sorted(known - OWN.keys()))}",
        )
    return Recipe(context, f"linux/{machines.processor(machine)}", tuple(sorted(wanted.items())))


def _by_itself(context: Context, gpu: bool, known: set[str]) -> dict[str, str]:
    """What nobody has to say: the device by the machine, and no torch where nothing names it."""
    found = {"DEVICE": CUDA if gpu else "cpu"}
    if "torch" not in context.requirements:
        found["TORCH"] = ""
    return {name: value for name, value in found.items() if name in known}


def _asked(config: Config) -> dict[str, str]:
    asked, image = dict(config.image.arguments), config.image
    if image.base:
        asked["BASE_IMAGE"] = image.base
    if image.device != "auto":
        asked["DEVICE"] = image.device
    return asked


def _machine(config: Config, cloud: str) -> tuple[str, bool]:
    """The type of machine that serves, and whether it has a GPU."""
    if cloud == "aws":
        return config.aws.instance_type, machines.has_gpu(config.aws.instance_type)
    gcp = config.gcp
    return gcp.machine_type, bool(gcp.accelerator_type) or machines.has_gpu(gcp.machine_type)
