"""CodeBuild: builds that really read their source, are held against the Dockerfile and put an image in ECR.

moto keeps the projects and answers for a build that it never ran; here it gets other answers for those calls.
The project's buildspec is not run: whatever it says, a build is `docker build` with the options in the
source's file build-arguments, and then a push as REPOSITORY:TAG of the environment.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.codebuild.exceptions import InvalidInputException, ResourceNotFoundException
from moto.codebuild.models import codebuild_backends
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.imagebuilds import building, contexts, ecr, manifests
from infra.local.imagebuilds.contexts import BuildFailed
from infra.local.sagemaker.logs import LogStream

OPTIONS_FILE = "build-arguments"
PHASES = ("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD")
AFTER = ("POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED")
_log = logging.getLogger(__name__)


class Stopped(Exception):
    """StopBuild was called."""


@dataclass
class Build:
    """A build: what its API shows, and what it works with."""

    shown: dict[str, Any]
    caller: Caller
    source: str  # BUCKET/KEY
    variables: dict[str, str]
    log: LogStream
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, phase: str) -> None:
        """Ends the phase before and begins this one. Raises Stopped once the build is to stop."""
        if self.stop.is_set():
            raise Stopped
        with self.lock:
            now = datetime.now(UTC)
            _end_phase(self.shown, "SUCCEEDED", now)
            self.shown["currentPhase"] = phase
            self.shown["phases"].append({"phaseType": phase, "startTime": now})
        self.log.write(f"[Container] {now:%Y/%m/%d %H:%M:%S} Entering phase {phase}")

    def end(self, status: str, why: str = "") -> None:
        """The build is over. What it printed can be read before it is seen to be."""
        self.log.close()
        with self.lock:
            now = datetime.now(UTC)
            # Source: the CodeBuild API's StatusType, which phases and builds share.
            _end_phase(self.shown, status, now, why)
            if self.shown["currentPhase"] != "COMPLETED":
                self.shown["phases"].append({"phaseType": "COMPLETED", "startTime": now})
                self.shown["currentPhase"] = "COMPLETED"
            self.shown |= {"buildStatus": status, "buildComplete": True, "endTime": now}


def _end_phase(shown: dict[str, Any], status: str, now: datetime, why: str = "") -> None:
    last = shown["phases"][-1] if shown["phases"] else {}
    if last and "endTime" not in last:
        seconds = int((now - last["startTime"]).total_seconds())
        last |= {"phaseStatus": status, "endTime": now, "durationInSeconds": seconds}
        last["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": why}] if why else []


class CodeBuild:
    """The service's builds."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._builds: dict[str, Build] = {}
        self._begun: dict[str, str] = {}  # a build's name by the token of the request that started it
        self._have_moto_ask()

    def close(self) -> None:
        """Stops every build."""
        for build in list(self._builds.values()):
            build.stop.set()

    def _have_moto_ask(self) -> None:
        """moto reads the request in whichever protocol it came; what is answered is decided here."""
        for name, answer in {
            "start_build": self._start,
            "batch_get_builds": self._get,
            "stop_build": self._stop,
            "list_builds_for_project": self._list,
        }.items():
            setattr(CodeBuildResponse, name, _asking(answer))

    def _start(self, caller: Caller, asked: Callable[[str], Any]) -> dict[str, Any]:
        project = self._project(caller, asked("projectName"))
        source = asked("sourceLocationOverride") or project["source"].get("location", "")
        if (asked("sourceTypeOverride") or project["source"]["type"]) != "S3" or "/" not in source:
            raise InvalidInputException("The local cloud builds from S3 alone: BUCKET/KEY of a zip archive")
        role = project["serviceRole"]
        arn = f"arn:aws:codebuild:{caller.region}:{caller.account}:project/{project['name']}"
        if not self._cloud.role_trusts(caller, role, "codebuild.amazonaws.com", arn):
            raise InvalidInputException(f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}")
        given = [
            *project["environment"].get("environmentVariables", []),
            *(asked("environmentVariablesOverride") or []),
        ]
        token = asked("idempotencyToken") or ""
        if token in self._begun:
            return {"build": _as_shown(self._builds[self._begun[token]])}
        build = self._new(caller, project, source, {one["name"]: one for one in given})
        if token:
            self._begun[token] = build.shown["id"]
        threading.Thread(target=self._run, args=(build,), name=build.shown["id"], daemon=True).start()
        return {"build": _as_shown(build)}

    def _project(self, caller: Caller, name: str) -> dict[str, Any]:
        found = codebuild_backends[caller.account][caller.region].codebuild_projects.get(name)
        if found is None:
            arn = f"arn:aws:codebuild:{caller.region}:{caller.account}:project/{name}"
            raise ResourceNotFoundException(f"Project cannot be found: {arn}")
        return found.project_metadata

    def _new(self, caller: Caller, project: dict[str, Any], source: str, given: dict[str, Any]) -> Build:
        stream = str(uuid.uuid4())
        name = f"{project['name']}:{stream}"
        logs = project.get("logsConfig", {}).get("cloudWatchLogs", {})
        group = logs.get("groupName") or f"/aws/codebuild/{project['name']}"
        shown = {
            "id": name,
            "arn": f"arn:aws:codebuild:{caller.region}:{caller.account}:build/{name}",
            "startTime": datetime.now(UTC),
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "currentPhase": "SUBMITTED",
            "projectName": project["name"],
            "phases": [],
            "source": {"type": "S3", "location": source},
            "environment": {**project["environment"], "environmentVariables": list(given.values())},
            "serviceRole": project["serviceRole"],
            "logs": {"groupName": group, "streamName": stream},
        }
        acting = caller.assuming(project["serviceRole"])
        log = LogStream(self._cloud, acting, group, stream)
        variables = {one: variable["value"] for one, variable in given.items()}
        self._builds[name] = build = Build(shown, acting, source, variables, log)
        return build

    def _get(self, caller: Caller, asked: Callable[[str], Any]) -> dict[str, Any]:
        wanted = [(name, self._builds.get(name)) for name in asked("ids")]
        there = [build for _, build in wanted if build and _same_place(build, caller)]
        missing = [name for name, build in wanted if not (build and _same_place(build, caller))]
        return {"builds": [_as_shown(build) for build in there], "buildsNotFound": missing}

    def _list(self, caller: Caller, asked: Callable[[str], Any]) -> dict[str, Any]:
        self._project(caller, asked("projectName"))
        there = [name for name, build in self._builds.items() if _same_place(build, caller)]
        return {"ids": [name for name in there[::-1] if name.startswith(f"{asked('projectName')}:")]}

    def _stop(self, caller: Caller, asked: Callable[[str], Any]) -> dict[str, Any]:
        build = self._builds.get(asked("id"))
        if build is None or not _same_place(build, caller):
            raise ResourceNotFoundException(f"Build {asked('id')} does not exist")
        build.stop.set()
        return {"build": _as_shown(build)}

    def _run(self, build: Build) -> None:
        try:
            self._build(build)
            build.end("SUCCEEDED")
        except Stopped:
            build.end("STOPPED")
        except (BuildFailed, AwsError) as error:
            build.log.write(str(error))
            build.end("FAILED", str(error))
        except Exception as error:
            _log.exception("%s failed", build.shown["id"])
            build.end("FAULT", f"{type(error).__name__}: {error}")

    def _build(self, build: Build) -> None:
        for phase in PHASES[: PHASES.index("INSTALL")]:
            build.enter(phase)
        bucket, _, key = build.source.partition("/")
        with self._cloud.open_object(build.caller, bucket, key) as archive:
            files = contexts.unzipped(archive)
        for phase in PHASES[PHASES.index("INSTALL") :]:
            build.enter(phase)
        words = files.get(OPTIONS_FILE, b"").decode().splitlines()
        command = contexts.command(words)
        for line in contexts.steps(files, command):
            build.log.write(line)
        order = building.Order(files, words, _pushed_as(build), build.log.write, build.stop)
        building.build(self._cloud.settings, order)
        if build.stop.wait(self._cloud.settings.image_build_s):
            raise Stopped
        self._push(build, manifests.image(files, command))
        for phase in AFTER:
            build.enter(phase)

    def _push(self, build: Build, image: manifests.Image) -> None:
        repository, tag = build.variables.get("REPOSITORY", ""), build.variables.get("TAG", "")
        if not ecr.is_repository(build.caller, repository):
            raise BuildFailed(f"name unknown: The repository with name '{repository}' does not exist")
        self._cloud.check_push(build.caller, _pushed_as(build))
        try:
            digest = ecr.put(build.caller, repository, tag, image)
        except Exception as error:  # moto's own: the tag is taken
            raise BuildFailed(f"tag invalid: {error}") from error
        build.log.write(f"{tag}: digest: {digest} size: {len(image.manifest)}")


def _pushed_as(build: Build) -> str:
    place = f"{build.caller.account}.dkr.ecr.{build.caller.region}.amazonaws.com"
    return f"{place}/{build.variables.get('REPOSITORY', '')}:{build.variables.get('TAG', '')}"


def _asking(answer: Callable[[Caller, Callable[[str], Any]], dict[str, Any]]) -> Any:
    def method(self: Any) -> ActionResult:
        caller = Caller(self.current_account, self.region)
        return ActionResult(answer(caller, self._get_param))

    return method


def _same_place(build: Build, caller: Caller) -> bool:
    return (build.caller.account, build.caller.region) == (caller.account, caller.region)


def _as_shown(build: Build) -> dict[str, Any]:
    with build.lock:
        return {**build.shown, "phases": [dict(phase) for phase in build.shown["phases"]]}
