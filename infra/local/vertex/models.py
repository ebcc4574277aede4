"""Models and their versions. A version is never edited but in what describes it."""

from __future__ import annotations

import re
import threading
from typing import Any

from infra.local.vertex import labels, listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.deployments import Deployments
from infra.local.vertex.errors import GoogleError, invalid, not_found
from infra.local.vertex.images import check_image
from infra.local.vertex.messages import checked
from infra.local.vertex.names import Place, canonical
from infra.local.vertex.operations import Operation, new_id, now
from infra.local.vertex.resources import Table, patched

DEFAULT = "default"
# Source: Model.version_aliases.
ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
MODEL_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
EDITABLE = {
    "display_name": "displayName",
    "description": "description",
    "labels": "labels",
    "version_description": "versionDescription",
}
# What the service says of a custom container's model.
SUPPORTED = {
    "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
    "supportedInputStorageFormats": ["jsonl", "csv", "file-list"],
    "supportedOutputStorageFormats": ["jsonl"],
    "modelSourceInfo": {"sourceType": "CUSTOM"},
}


class Models:
    """The operations on models; `find` is for those who deploy them."""

    def __init__(self, vertex: Vertex, deployments: Deployments) -> None:
        self._vertex, self._deployments = vertex, deployments
        self._versions = Table()  # by name@version
        self._lock = threading.RLock()  # held where more than one version changes

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "models:upload", self.upload),
            Route("GET", "models", self.list_models),
            Route("GET", "models/*", self.get),
            Route("GET", "models/*:listVersions", self.list_versions),
            Route("POST", "models/*:mergeVersionAliases", self.merge_version_aliases),
            Route("PATCH", "models/*", self.patch),
            Route("DELETE", "models/*", self.delete),
            Route("DELETE", "models/*:deleteVersion", self.delete_version),
        )

    def find(self, name: str) -> Json:
        """The version that `…/models/7`, `…/models/7@2` or `…/models/7@alias` names.

        Its own `name` has no version. Raises GoogleError NOT_FOUND.
        """
        stem, _, version = canonical(name).partition("@")
        wanted = version or DEFAULT
        for one in self._versions_of(stem):
            if wanted in (one["versionId"], *one.get("versionAliases", ())):
                return self._described(one)
        raise not_found(canonical(name))

    def create(self, place: Place, request: Json) -> Json:
        """Makes a version of a model as `upload` does, at once, of a checked UploadModelRequest.

        Returns UploadModelResponse. Raises GoogleError.
        """
        model, parent = request["model"], canonical(request.get("parentModel", ""))
        self._check_artifact(model)
        with self._lock:
            name = parent.partition("@")[0] or f"{place.name}/models/{request.get('modelId') or new_id()}"
            earlier = self._versions_of(name)
            if parent and not earlier:
                raise not_found(name)
            if earlier and not parent:
                raise GoogleError("ALREADY_EXISTS", f'Resource "{name}" already exists.')
            version = str(1 + max((int(one["versionId"]) for one in earlier), default=0))
            aliases = list(dict.fromkeys([*model.get("versionAliases", []), *([] if earlier else [DEFAULT])]))
            self._take_aliases(earlier, aliases)
            at = now()
            times = {"versionCreateTime": at, "versionUpdateTime": at}
            made = {**model, **SUPPORTED, **times, "versionId": version, "versionAliases": aliases}
            self._versions.add(f"{name}@{version}", made)
        return {"model": name, "modelVersionId": version}

    def upload(self, call: Call) -> Json:
        """UploadModel."""
        request = checked("UploadModelRequest", {**call.body, "parent": call.place.name})
        check(request, call.place)
        if request.get("parentModel"):
            self.find(request["parentModel"].partition("@")[0])

        def work(operation: Operation) -> Json:
            return self.create(call.place, request)

        return self._vertex.operations.begin(call.place.name, "UploadModel", work, "UploadModelResponse")

    def get(self, call: Call) -> Json:
        """GetModel."""
        return self.find(f"{call.name}@{call.version}" if call.version else call.name)

    def list_models(self, call: Call) -> Json:
        """ListModels: each model's default version."""
        versions = self._versions.all_of(call.place.name, "models")
        defaults = [self._described(one) for one in versions if DEFAULT in one["versionAliases"]]
        return listing.page(defaults, "models", call.query)

    def list_versions(self, call: Call) -> Json:
        """ListModelVersions."""
        versions = self._versions_of(call.name)
        if not versions:
            raise not_found(call.name)
        return listing.page([self._described(one) for one in versions], "models", call.query)

    def merge_version_aliases(self, call: Call) -> Json:
        """MergeVersionAliases: adds aliases to the version named, and takes those with a - from it."""
        request = checked("MergeVersionAliasesRequest", {**call.body, "name": call.name})
        asked = request.get("versionAliases", [])
        added = [alias for alias in asked if not alias.startswith("-")]
        removed = {alias[1:] for alias in asked if alias.startswith("-")}
        _check_aliases(added)
        if DEFAULT in removed:
            raise invalid(
                "The default alias cannot be removed; give it to another version.", "version_aliases"
            )
        with self._lock:
            found = self.get(call)
            key = f"{call.name}@{found['versionId']}"
            self._take_aliases([one for one in self._versions_of(call.name) if one["name"] != key], added)
            kept = [alias for alias in found.get("versionAliases", []) if alias not in removed]
            merged = list(dict.fromkeys([*kept, *added]))
            self._versions.change(key, lambda one: {**one, "versionAliases": merged})
        return self.find(key)

    def patch(self, call: Call) -> Json:
        """UpdateModel: of the version named, what describes it."""
        given = checked("Model", call.body, "model")
        labels.check(given.get("labels", {}), "model.labels")
        key = f"{call.name}@{self.get(call)['versionId']}"
        mask = call.query.get("updateMask", "")
        edit = lambda one: {**patched(one, given, mask, EDITABLE), "versionUpdateTime": now()}  # noqa: E731
        self._versions.change(key, edit)
        return self.find(key)

    def delete(self, call: Call) -> Json:
        """DeleteModel, with all its versions; not while one is deployed."""
        self.find(call.name)
        with self._lock:
            self._check_undeployed(call.name, "")
            for one in self._versions_of(call.name):
                self._versions.remove(one["name"])
        return self._vertex.operations.begin(call.place.name, "Delete", _nothing)

    def delete_version(self, call: Call) -> Json:
        """DeleteModelVersion: not the only one, not the default one, not while it is deployed."""
        found = self.get(call)
        with self._lock:
            if len(self._versions_of(call.name)) == 1:
                text = f'Cannot delete the only version of the Model "{call.name}": delete the Model instead.'
                raise GoogleError("FAILED_PRECONDITION", text)
            if DEFAULT in found.get("versionAliases", []):
                text = f'Cannot delete the default version of the Model "{call.name}".'
                raise GoogleError("FAILED_PRECONDITION", text)
            self._check_undeployed(call.name, found["versionId"])
            self._versions.remove(f"{call.name}@{found['versionId']}")
        return self._vertex.operations.begin(call.place.name, "Delete", _nothing)

    def _versions_of(self, name: str) -> list[Json]:
        """Its versions as the table has them, the newest first."""
        place, _, number = name.rpartition("/models/")
        found = self._versions.all_of(place, "models")
        return [one for one in found if one["name"].partition("@")[0] == f"{place}/models/{number}"]

    def _described(self, version: Json) -> Json:
        name = version["name"].partition("@")[0]
        refs = [
            {"endpoint": one.endpoint, "deployedModelId": one.id}
            for one in self._deployments.of(name, version["versionId"])
            if one.containers
        ]
        return {**version, "name": name, **({"deployedModels": refs} if refs else {})}

    def _take_aliases(self, versions: list[Json], aliases: list[str]) -> None:
        """An alias is one version's: whoever has it loses it."""
        for one in versions:
            kept = [alias for alias in one.get("versionAliases", []) if alias not in aliases]
            if kept != one.get("versionAliases", []):
                self._versions.change(one["name"], _with_aliases(kept))

    def _check_undeployed(self, name: str, version: str) -> None:
        endpoints = sorted({one.endpoint for one in self._deployments.of(name, version)})
        if endpoints:
            text = f'The Model "{name}" is deployed or being deployed at the following Endpoint(s): '
            raise GoogleError("FAILED_PRECONDITION", text + ", ".join(endpoints) + ".")

    def _check_artifact(self, model: Json) -> None:
        uri = model.get("artifactUri", "")
        if not uri:
            return
        bucket, _, prefix = uri.removeprefix("gs://").partition("/")
        folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        if not self._vertex.storage.list(bucket, folder):
            raise invalid(f'There are no files under "{uri}" to copy.', "model.artifact_uri")


def check(request: Json, place: Place) -> None:
    """What an UploadModelRequest must have beyond its types. Raises GoogleError INVALID_ARGUMENT."""
    model = request.get("model", {})
    if not model.get("displayName"):
        raise invalid("The display_name of the Model is required.", "model.display_name")
    if len(model["displayName"]) > 128:
        raise invalid("The display_name of the Model is longer than 128 characters.", "model.display_name")
    image = model.get("containerSpec", {}).get("imageUri", "")
    if not image:
        raise invalid(
            "The container_spec.image_uri of the Model is required.", "model.container_spec.image_uri"
        )
    check_image(image, place.location, "model.container_spec.image_uri")
    if not model.get("artifactUri", "gs://").startswith("gs://"):
        raise invalid(f"{model['artifactUri']!r} is no gs:// URI.", "model.artifact_uri")
    if request.get("modelId") and not MODEL_ID.fullmatch(request["modelId"]):
        raise invalid(f"{request['modelId']!r} is no ID for a Model.", "model_id")
    labels.check(model.get("labels", {}), "model.labels")
    _check_aliases(model.get("versionAliases", []))


def _check_aliases(aliases: list[str]) -> None:
    for alias in aliases:
        if not ALIAS.fullmatch(alias):
            raise invalid(f"{alias!r} is no version alias: {ALIAS.pattern}", "version_aliases")


def _with_aliases(aliases: list[str]) -> Any:
    return lambda one: {**one, "versionAliases": aliases}


def _nothing(operation: Operation) -> Json:
    return {}
