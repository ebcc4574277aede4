"""Which images Vertex AI takes: those of Artifact Registry, in the model's own region, or gcr.io. Pure.

Source: custom-container-requirements, "Container image requirements".
"""

from __future__ import annotations

import re

from infra.local.vertex.errors import invalid

_ARTIFACT_REGISTRY = re.compile(r"(?P<region>[a-z0-9-]+)-docker\.pkg\.dev/[^/]+/[^/]+/[^/]+")
_CONTAINER_REGISTRY = re.compile(r"(?:(?:us|eu|asia)\.)?gcr\.io/[^/]+/[^/]+")


def check_image(image: str, location: str, field: str) -> None:
    """Raises GoogleError INVALID_ARGUMENT for an image that could not be pulled there."""
    if _CONTAINER_REGISTRY.match(image):
        return
    match = _ARTIFACT_REGISTRY.match(image)
    if not match:
        text = (
            f"Invalid image {image!r}: expected LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE or gcr.io."
        )
        raise invalid(text, field)
    region = match["region"]
    if region not in (location, "us", "europe", "asia"):
        raise invalid(
            f"The image {image!r} is in {region}, not in the region {location} of the resource.", field
        )
