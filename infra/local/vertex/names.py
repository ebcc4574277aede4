"""The names of resources: projects/NUMBER/locations/REGION/models/7 and the like. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from infra.local.vertex.errors import GoogleError

PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]|\d{6,19}")
# Source: cloud.google.com/vertex-ai/docs/general/locations
_LOCATIONS = """
    africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1
    asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2 europe-central2
    europe-north1 europe-southwest1 europe-west1 europe-west12 europe-west2 europe-west3
    europe-west4 europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1
    northamerica-northeast1 northamerica-northeast2 southamerica-east1 southamerica-west1
    us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
"""
LOCATIONS = frozenset(_LOCATIONS.split())


@dataclass(frozen=True)
class Place:
    """A project, by its number, and a region in it; `project` is the project as the caller named it."""

    number: str
    location: str
    project: str

    @property
    def name(self) -> str:
        """projects/NUMBER/locations/REGION."""
        return f"projects/{self.number}/locations/{self.location}"


def place_of(project: str, location: str) -> Place:
    """The place; raises GoogleError PERMISSION_DENIED where there can be no such project or region."""
    if not PROJECT.fullmatch(project):
        text = f'Permission denied on resource project {project}: "{project}" is no project ID or number.'
        raise GoogleError("PERMISSION_DENIED", text)
    if location not in LOCATIONS:
        text = f"Permission denied on 'locations/{location}' (or it may not exist)."
        raise GoogleError("PERMISSION_DENIED", text)
    return Place(number_of(project), location, project)


def number_of(project: str) -> str:
    """A project's number: the local cloud makes it of the project's ID."""
    if project.isdigit():
        return project
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % (9 * 10**11))


def canonical(name: str) -> str:
    """A resource's name with the project's number in it, since callers name a project by its ID too."""
    parts = name.split("/")
    if len(parts) > 1 and parts[0] == "projects":
        parts[1] = number_of(parts[1])
    return "/".join(parts)
