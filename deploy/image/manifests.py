"""What a registry tells of an image: the processors that it is built for. Pure but for what it is handed.

Source: github.com/opencontainers/image-spec, image-index.md and config.md; docker's own forms are alike here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Source: docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
Configuration = Callable[[str], Mapping[str, Any]]


def processors(manifest: Mapping[str, Any], configuration: Configuration) -> set[str]:
    """What the image is built for, such as {"amd64"}; empty where it is not told.

    An index tells it of each of its images; of a single one its configuration does, which `configuration`
    fetches by its digest.
    """
    if "manifests" in manifest:
        told = {one.get("platform", {}).get("architecture") for one in manifest["manifests"]}
        return told - {None, "unknown"}  # an attestation is for no processor
    digest = manifest.get("config", {}).get("digest")
    architecture = configuration(digest).get("architecture") if digest else None
    return {architecture} if architecture else set()
