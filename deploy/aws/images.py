"""AWS's own training images, asked for of the SageMaker SDK, which is large and only needed for this."""

from __future__ import annotations

import importlib
from typing import Any

from deploy.config import Config
from deploy.target import CloudError
from deploy.training import images


def training_image(config: Config) -> str:
    """The URI of AWS's PyTorch training image, with the torch that serves, else the newest.

    CloudError, with what to do, where the SDK is not installed or knows no such image.
    """
    try:
        uris: Any = importlib.import_module("sagemaker.core.image_uris")
    except ImportError as error:
        raise CloudError(
            "deploy.toml: [training]: image is missing, and the SageMaker SDK, which knows AWS's own images, "
            "is not installed: set image, or `pip install 'sagemaker>=3.8'`"
        ) from error
    known = uris.config_for_framework("pytorch")["training"]["versions"]
    version = images.versions(config.aws.image).get("torch") or max(known, key=_as_numbers)
    try:
        found = uris.retrieve(
            framework="pytorch",
            region=config.aws.region,
            version=version,
            image_scope="training",
            instance_type=config.training.instance_type or config.aws.instance_type,
        )
    except ValueError as error:
        raise CloudError(
            f"deploy.toml: [training]: image is missing, and AWS has none of PyTorch {version} ({error}): "
            "set image"
        ) from error
    return str(found)


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
