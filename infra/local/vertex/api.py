"""The control plane's shape: a call, the routes that answer calls, and what the parts of the service share.

A part (models, endpoints, jobs) is a class with `routes`; it gets a `Vertex` and calls `checked` on a body
before it believes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from infra.local.settings import Settings
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.logs import Logs
from infra.local.vertex.names import Place, place_of
from infra.local.vertex.operations import Operations
from infra.local.vertex.storage import Storage

Json = dict[str, Any]
# Google's REST clients ask after operations below /ui.
PREFIXES = ("/v1/projects/", "/ui/projects/")


@dataclass(frozen=True)
class Vertex:
    """What every part of the service has."""

    settings: Settings
    url: str  # http://127.0.0.1:PORT
    operations: Operations
    storage: Storage
    logs: Logs


@dataclass(frozen=True)
class Call:
    """One request. `name` is what the path names, a resource or a place, with the project's number in it.

    `version` is what stood after the @ of a model's name. `query` has each parameter's last value by its
    name in camelCase.
    """

    place: Place
    name: str
    version: str
    query: Mapping[str, str]
    body: Json


Handle = Callable[[Call], Json]


@dataclass(frozen=True)
class Route:
    """What answers a method on a path: `shape` is the path below the place with `*` for each id.

    `endpoints`, `endpoints/*`, `endpoints/*:deployModel`, `endpoints/*/operations/*`. `handle` runs in a
    worker thread and returns the answer's JSON, or raises GoogleError.
    """

    method: str
    shape: str
    handle: Handle


@dataclass(frozen=True)
class Path:
    """A request's path in its parts."""

    project: str
    location: str
    segments: tuple[str, ...]  # collection, id, collection …, without verb and version
    verb: str
    version: str

    @property
    def shape(self) -> str:
        """As `Route.shape` has it."""
        parts = [part if at % 2 == 0 else "*" for at, part in enumerate(self.segments)]
        return "/".join(parts) + (f":{self.verb}" if self.verb else "")


def path_of(path: str) -> Path | None:
    """The path's parts, None where it is not below a project's location."""
    project, _, rest = path.split("/projects/", 1)[-1].partition("/locations/")
    if not path.startswith(PREFIXES) or "/" in project or "/" not in rest:
        return None
    rest, _, verb = rest.partition(":")
    location, *segments = rest.split("/")
    last, _, version = segments[-1].partition("@")
    return Path(project, location, (*segments[:-1], last), verb, version)


def call_of(path: Path, query: str, body: Json) -> Call:
    """The call. Raises GoogleError PERMISSION_DENIED for a project or region that cannot be."""
    place = place_of(path.project, path.location)
    # Of a collection's path the place is what is named; an id makes it a resource.
    named = path.segments if len(path.segments) % 2 == 0 else path.segments[:-1]
    name = "/".join((place.name, *(unquote(part) for part in named)))
    given = {_camel(key): value for key, value in parse_qsl(query, keep_blank_values=True)}
    return Call(place, name, path.version, given, body)


def unserved(method: str, path: str) -> GoogleError:
    """No part of the service has this path."""
    return GoogleError("UNIMPLEMENTED", f"{method} {path} is not served by the local Vertex AI.")


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
