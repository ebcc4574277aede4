"""Cloud Build, as far as images are built by it: a build of docker's own step reads its source and is held
against the Dockerfile; then the image is in Artifact Registry.

Source: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.builds
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from infra.local.imagebuilds import building, contexts, manifests
from infra.local.imagebuilds.contexts import BuildFailed
from infra.local.vertex import listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import GoogleError, invalid, not_found
from infra.local.vertex.logs import LogStream
from infra.local.vertex.names import canonical
from infra.local.vertex.operations import now
from infra.local.vertex.registry import Registry

DOCKER = re.compile(r"gcr\.io/cloud-builders/docker(:[\w.-]+)?")
# Source: cloud.google.com/build/docs/configuring-builds/substitute-variable-values
SUBSTITUTED = re.compile(r"\$(\{)?[A-Z_]")
IMAGE = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/"
    r"(?P<package>[^:@]+):(?P<tag>[\w.-]+)"
)
_log = logging.getLogger(__name__)


@dataclass
class Build:
    """A build: its resource, and what it works with."""

    shown: Json
    log: LogStream
    cancelled: threading.Event = field(default_factory=threading.Event)

    def enter(self, status: str, **more: Any) -> None:
        """Shows another status."""
        self.shown = {**self.shown, "status": status, **more}


class Builds:
    """The builds of all projects."""

    def __init__(self, vertex: Vertex, registry: Registry) -> None:
        self._vertex, self._registry = vertex, registry
        self._builds: dict[str, Build] = {}

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "builds", self.create),
            Route("GET", "builds", self.list_builds),
            Route("GET", "builds/*", self.get),
            Route("POST", "builds/*:cancel", self.cancel),
        )

    def close(self) -> None:
        """Cancels every build."""
        for build in list(self._builds.values()):
            build.cancelled.set()

    def create(self, call: Call) -> Json:
        """CreateBuild: an operation whose metadata holds the build."""
        _check(call.body)
        number = str(uuid.uuid4())
        name = f"{call.name}/builds/{number}"
        shown = {
            **call.body,
            "name": name,
            "id": number,
            "projectId": call.place.project,
            "status": "QUEUED",
            "createTime": now(),
        }
        build = Build(shown, self._vertex.logs.open(name, build_id=number))
        self._builds[name] = build
        threading.Thread(target=self._run, args=(build,), name=name, daemon=True).start()
        kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
        return {
            "name": f"operations/build/{call.place.project}/{number}",
            "metadata": {"@type": kind, "build": shown},
        }

    def list_builds(self, call: Call) -> Json:
        """ListBuilds, the newest first."""
        found = [one.shown for name, one in self._builds.items() if name.startswith(f"{call.name}/")]
        return listing.page(found[::-1], "builds", call.query)

    def get(self, call: Call) -> Json:
        """GetBuild."""
        return self._find(call.name).shown

    def cancel(self, call: Call) -> Json:
        """CancelBuild; one that is over is refused."""
        build = self._find(call.name)
        if build.shown["status"] not in ("QUEUED", "WORKING"):
            raise GoogleError("FAILED_PRECONDITION", "Build cannot be cancelled: it is not in progress.")
        build.cancelled.set()
        return build.shown

    def _find(self, name: str) -> Build:
        if name not in self._builds:
            raise not_found(name)
        return self._builds[name]

    def _run(self, build: Build) -> None:
        build.enter("WORKING", startTime=now())
        try:
            self._build(build)
        except (BuildFailed, GoogleError) as error:
            said = error.message if isinstance(error, GoogleError) else str(error)
            build.log.write(f"ERROR: {said}")
            failure = {"type": "USER_BUILD_STEP", "detail": said}
            build.enter("FAILURE", finishTime=now(), statusDetail=said, failureInfo=failure)
        except Exception as error:
            _log.exception("%s failed", build.shown["name"])
            build.enter("INTERNAL_ERROR", finishTime=now(), statusDetail=f"{type(error).__name__}: {error}")

    def _build(self, build: Build) -> None:
        source = build.shown["source"]["storageSource"]
        build.log.write(f"FETCHSOURCE gs://{source['bucket']}/{source['object']}")
        with self._vertex.storage.open(source["bucket"], source["object"]) as archive:
            files = contexts.unzipped(archive)
        words = build.shown["steps"][0]["args"][1:]
        command = contexts.command(words)
        for line in contexts.steps(files, command):
            build.log.write(line)
        for uri in build.shown.get("images", [])[:1]:  # the options name the others
            order = building.Order(files, words, uri, build.log.write, build.cancelled)
            building.build(self._vertex.settings, order)
        if build.cancelled.wait(self._vertex.settings.image_build_s):
            build.enter("CANCELLED", finishTime=now())
            return
        self._push(build, command, manifests.image(files, command))

    def _push(self, build: Build, command: contexts.Command, image: manifests.Image) -> None:
        for uri in build.shown.get("images", []):
            named = IMAGE.fullmatch(uri)
            if named is None or uri not in command.tags:
                raise BuildFailed(
                    f"failed to find one or more images after execution of build steps: {uri!r}"
                )
            place = f"projects/{named['project']}/locations/{named['location']}"
            repository = canonical(f"{place}/repositories/{named['repository']}")
            self._registry.put(repository, named["package"], named["tag"], image)
            build.log.write(f"PUSH {uri} digest: {image.digest}")
        pushed = [{"name": uri, "digest": image.digest} for uri in build.shown.get("images", [])]
        build.enter("SUCCESS", finishTime=now(), results={"images": pushed})


def _check(build: Json) -> None:
    """What Cloud Build refuses, and what the local one cannot do. Raises GoogleError."""
    steps, source = build.get("steps") or [], build.get("source", {}).get("storageSource", {})
    if not (source.get("bucket") and source.get("object")):
        raise invalid("The local Cloud Build builds from source.storageSource alone.", "source")
    if len(steps) != 1 or not DOCKER.fullmatch(str(steps[0].get("name", ""))):
        raise invalid("The local Cloud Build runs one step, of gcr.io/cloud-builders/docker.", "steps")
    words = [str(word) for word in steps[0].get("args", [])]
    if words[:1] != ["build"]:
        raise invalid("The local Cloud Build runs `docker build` alone.", "steps")
    if any(SUBSTITUTED.search(word) for word in words):
        raise invalid("The local Cloud Build substitutes no variables.", "steps")
    logging_ = build.get("options", {}).get("logging", "")
    if build.get("serviceAccount") and not (build.get("logsBucket") or logging_ in LOGGED):
        raise invalid(
            "if 'build.service_account' is specified, the build must either (a) specify "
            "'build.logs_bucket', (b) use the REGIONAL_USER_OWNED_BUCKET "
            "build.options.default_logs_bucket_behavior option, or (c) use either CLOUD_LOGGING_ONLY / NONE "
            "logging options",
            "service_account",
        )


LOGGED = ("CLOUD_LOGGING_ONLY", "NONE")
