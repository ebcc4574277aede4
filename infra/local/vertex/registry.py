"""Artifact Registry, as far as a deployment asks: repositories, and which tag is which version.

Sources: cloud.google.com/artifact-registry/docs/reference/rest, and its proto
google/devtools/artifactregistry/v1. A repository is there once it was created; it takes no pushes: what is in
it, builds of the local Cloud Build put there. `registryUri` is this address: no tool is sent elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from infra.local.errors import Answer
from infra.local.imagebuilds.manifests import MANIFEST, Image, digest
from infra.local.vertex import listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import JSON_TYPE, GoogleError, invalid, not_found
from infra.local.vertex.names import number_of
from infra.local.vertex.operations import now

# Of a registry's own API only what reads: without /v2/ itself no tool pushes.
# Source: github.com/opencontainers/distribution-spec
PATHS = re.compile(
    r"/v2/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<package>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)"
)
_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass
class Repository:
    """A repository: its resource, and of each package the versions by their tags."""

    shown: Json
    tags: dict[tuple[str, str], Image] = field(default_factory=dict)  # (package, tag)


class Registry:
    """The repositories of all projects, by name."""

    def __init__(self, vertex: Vertex) -> None:
        self._url = vertex.url
        self._operations = vertex.operations
        self._repositories: dict[str, Repository] = {}

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "repositories", self.create),
            Route("GET", "repositories/*", self.get),
            Route("DELETE", "repositories/*", self.delete),
            Route("GET", "repositories/*/packages/*/tags", self.list_tags),
            Route("GET", "repositories/*/packages/*/tags/*", self.tag),
        )

    def create(self, call: Call) -> Json:
        """CreateRepository."""
        wanted = call.query.get("repositoryId", "")
        if not _ID.fullmatch(wanted):
            raise invalid(f"{wanted!r} is no repository ID.", "repository_id")
        if call.body.get("format") != "DOCKER":
            raise invalid("The local Artifact Registry has repositories of format DOCKER alone.", "format")
        name = f"{call.name}/repositories/{wanted}"
        if name in self._repositories:
            raise GoogleError("ALREADY_EXISTS", f"the repository already exists: {name}")
        host = f"{self._url}/{call.place.project}/{wanted}"
        shown = {**call.body, "name": name, "createTime": now(), "registryUri": host}
        self._repositories[name] = Repository(shown)
        return self._operations.begin(call.name, "CreateRepository", lambda _: shown, "")

    def get(self, call: Call) -> Json:
        """GetRepository."""
        return self._find(call.name).shown

    def delete(self, call: Call) -> Json:
        """DeleteRepository, with all that is in it."""
        self._find(call.name)
        self._repositories.pop(call.name, None)
        return self._operations.begin(call.place.name, "DeleteRepository", lambda _: {}, "")

    def list_tags(self, call: Call) -> Json:
        """ListTags."""
        name, _, package = call.name.partition("/packages/")
        known = [tag for of, tag in self._find(name).tags if of == package]
        tags = [self.tag(replace(call, name=f"{call.name}/tags/{tag}")) for tag in sorted(known)]
        return listing.page(tags, "tags", call.query)

    def tag(self, call: Call) -> Json:
        """GetTag."""
        name, package, tag = re.fullmatch(r"(.*)/packages/([^/]+)/tags/([^/]+)", call.name).groups()  # type: ignore[union-attr]
        image = self._find(name).tags.get((package, tag))
        if image is None:
            raise not_found(call.name)
        version = f"{name}/packages/{package}/versions/{image.digest}"
        return {"name": call.name, "version": version}

    def pulled(self, path: str) -> Answer:
        """What a registry answers whoever pulls: an image's manifest, or its configuration."""
        match = PATHS.fullmatch(path)
        assert match is not None
        wanted = (match["package"], match["reference"])
        for name, repository in self._repositories.items():
            if name.split("/")[1] != number_of(match["project"]) or not name.endswith(
                f"/{match['repository']}"
            ):
                continue
            for (package, tag), image in repository.tags.items():
                if wanted in ((package, tag), (package, image.digest)) and match["kind"] == "manifests":
                    return Answer(200, image.manifest.encode(), (("content-type", MANIFEST),))
                if wanted == (package, digest(image.configuration)):
                    return Answer(200, image.configuration, (("content-type", "application/octet-stream"),))
        return Answer(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}', JSON_TYPE)

    def put(self, repository: str, package: str, tag: str, image: Image) -> None:
        """Put an image under a tag, as a push does.

        Raises GoogleError where there is no such repository, or an immutable tag is another image's.
        """
        found = self._find(repository)
        there = found.tags.get((package, tag))
        if (
            there
            and there.digest != image.digest
            and found.shown.get("dockerConfig", {}).get("immutableTags")
        ):
            raise GoogleError(
                "FAILED_PRECONDITION", f"cannot update tag {tag}: the repository has immutable tags"
            )
        found.tags[package, tag] = image

    def _find(self, name: str) -> Repository:
        if name not in self._repositories:
            raise not_found(name)
        return self._repositories[name]
