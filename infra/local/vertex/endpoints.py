"""Endpoints: made, changed and deleted; models deployed to them and taken off, traffic split among them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from infra.local.containers import stop_all
from infra.local.vertex import labels, listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.containers import Container, ServingSpec
from infra.local.vertex.deployed import check_timeout, checked_deployed
from infra.local.vertex.deployments import Deployment, Deployments, start_all
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.messages import checked
from infra.local.vertex.models import Models
from infra.local.vertex.names import canonical
from infra.local.vertex.operations import Operation, new_id, now
from infra.local.vertex.resources import Table, patched
from infra.local.vertex.traffic import after_deploying, after_undeploying, check_split

DRAIN_S = 10.0  # for the requests in flight of a model that is undeployed
ENDPOINT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
EDITABLE = {
    "display_name": "displayName",
    "description": "description",
    "labels": "labels",
    "traffic_split": "trafficSplit",
    "predict_request_response_logging_config": "predictRequestResponseLoggingConfig",
}
# Of UpdateEndpointLongRunning, which is for nothing else.
RECONNECTED = {"client_connection_config": "clientConnectionConfig"}
MUTABLE = {
    "dedicated_resources.min_replica_count": "minReplicaCount",
    "dedicated_resources.max_replica_count": "maxReplicaCount",
    "dedicated_resources.required_replica_count": "requiredReplicaCount",
    "dedicated_resources.autoscaling_metric_specs": "autoscalingMetricSpecs",
}


class Endpoints:
    """The operations on endpoints. `table` and the deployments are what the data plane reads."""

    def __init__(
        self, vertex: Vertex, models: Models, deployments: Deployments, dns: Callable[[], str]
    ) -> None:
        """`dns` says where dedicated endpoints answer: HOST:PORT, with TLS; it may have to open it first."""
        self.table = Table()
        self._vertex, self._models, self._deployments, self._dns = vertex, models, deployments, dns

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "endpoints", self.create),
            Route("GET", "endpoints", self.list_endpoints),
            Route("GET", "endpoints/*", self.get),
            Route("PATCH", "endpoints/*", self.patch),
            Route("POST", "endpoints/*:update", self.update),
            Route("POST", "endpoints/*:deployModel", self.deploy_model),
            Route("POST", "endpoints/*:undeployModel", self.undeploy_model),
            Route("POST", "endpoints/*:mutateDeployedModel", self.mutate_deployed_model),
            Route("DELETE", "endpoints/*", self.delete),
        )

    def create(self, call: Call) -> Json:
        """CreateEndpoint."""
        endpoint = checked("Endpoint", call.body, "endpoint")
        _check(endpoint)
        chosen = call.query.get("endpointId", "")
        if chosen and not ENDPOINT_ID.fullmatch(chosen):
            raise invalid(f"{chosen!r} is no ID for an Endpoint.", "endpoint_id")
        name = f"{call.place.name}/endpoints/{chosen or new_id()}"
        if self.table.has(name):
            raise GoogleError("ALREADY_EXISTS", f'Resource "{name}" already exists.')
        for given in ("deployedModels", "trafficSplit", "dedicatedEndpointDns"):
            endpoint.pop(given, None)  # the service's to say

        def work(operation: Operation) -> Json:
            dns = {"dedicatedEndpointDns": self._dns()} if endpoint.get("dedicatedEndpointEnabled") else {}
            return self.table.add(name, {**endpoint, **dns})

        return self._vertex.operations.begin(name, "CreateEndpoint", work, "Endpoint")

    def get(self, call: Call) -> Json:
        """GetEndpoint."""
        return self.table.get(call.name)

    def list_endpoints(self, call: Call) -> Json:
        """ListEndpoints."""
        return listing.page(self.table.all_of(call.place.name, "endpoints"), "endpoints", call.query)

    def patch(self, call: Call) -> Json:
        """UpdateEndpoint."""
        given = checked("Endpoint", call.body, "endpoint")
        labels.check(given.get("labels", {}), "endpoint.labels")
        mask = call.query.get("updateMask", "")

        def edit(endpoint: Json) -> Json:
            changed = patched(endpoint, given, mask, EDITABLE)
            if changed.get("trafficSplit") != endpoint.get("trafficSplit"):
                check_split(changed.get("trafficSplit", {}), _ids(endpoint))
            return changed

        return self.table.change(call.name, edit)

    def update(self, call: Call) -> Json:
        """UpdateEndpointLongRunning: the client connection's settings."""
        given = checked("UpdateEndpointLongRunningRequest", call.body).get("endpoint", {})

        def work(operation: Operation) -> Json:
            mask = ",".join(RECONNECTED)
            return self.table.change(call.name, lambda one: patched(one, given, mask, RECONNECTED))

        check_timeout(given)
        self.table.get(call.name)
        return self._vertex.operations.begin(call.name, "UpdateEndpoint", work, "Endpoint")

    def delete(self, call: Call) -> Json:
        """DeleteEndpoint; not with a model on it."""

        def check(endpoint: Json) -> None:
            if self._deployments.at(call.name):
                text = f'The Endpoint "{call.name}" has deployed or being-deployed DeployedModel(s).'
                raise GoogleError("FAILED_PRECONDITION", text)

        self.table.remove(call.name, check)
        return self._vertex.operations.begin(call.place.name, "Delete", lambda operation: {})

    def deploy_model(self, call: Call) -> Json:
        """DeployModel: the containers start, then the model is there and has its traffic."""
        request = checked("DeployModelRequest", {**call.body, "endpoint": call.name})
        deployed = checked_deployed(request.get("deployedModel", {}))
        endpoint = self.table.get(call.name)
        model = self._model(deployed, call)
        identifier = deployed.get("id") or new_id()
        if any(one["id"] == identifier for one in endpoint.get("deployedModels", [])):
            raise GoogleError("ALREADY_EXISTS", f"The DeployedModel {identifier} is there already.")
        after_deploying(
            endpoint, identifier, request.get("trafficSplit", {})
        )  # refused before anything starts
        shown = {
            **deployed,
            "id": identifier,
            "model": model["name"],
            "modelVersionId": model["versionId"],
            "displayName": deployed.get("displayName", model["displayName"]),
            "createTime": now(),
        }
        deployment = Deployment(
            identifier, call.name, model["name"], model["versionId"], model["displayName"]
        )
        self._deployments.put(deployment)
        try:  # from here on neither can be deleted
            self._models.find(f"{model['name']}@{model['versionId']}")
            self.table.get(call.name)
        except GoogleError:
            self._deployments.remove(identifier)
            raise

        def work(operation: Operation) -> Json:
            return self._deploy(operation, deployment, shown, (model, request.get("trafficSplit", {}), call))

        return self._vertex.operations.begin(call.name, "DeployModel", work, "DeployModelResponse")

    def undeploy_model(self, call: Call) -> Json:
        """UndeployModel: only without traffic, or with a split that leaves it none, or as the last one."""
        request = checked("UndeployModelRequest", {**call.body, "endpoint": call.name})
        identifier, split = request.get("deployedModelId", ""), request.get("trafficSplit", {})

        def edit(endpoint: Json) -> Json:
            return after_undeploying(endpoint, identifier, split)

        edit(self.table.get(call.name))  # refused at once

        def work(operation: Operation) -> Json:
            self.table.change(call.name, edit)
            gone = self._deployments.find(identifier)
            stop_all(gone.containers if gone else (), DRAIN_S)
            self._deployments.remove(identifier)
            return {}

        return self._vertex.operations.begin(call.name, "UndeployModel", work, "UndeployModelResponse")

    def mutate_deployed_model(self, call: Call) -> Json:
        """MutateDeployedModel: the replicas."""
        given = {**call.body, "endpoint": call.name, "updateMask": call.body.get("updateMask", "")}
        request = checked("MutateDeployedModelRequest", given)
        asked = request.get("deployedModel", {})
        fields = [_snake(field) for field in request.get("updateMask", "").split(",") if field]
        unknown = [field for field in fields if field not in MUTABLE]
        if unknown or not fields:
            what = ", ".join(unknown) or "nothing"
            text = f"Update of {what} is not supported; allowed: {', '.join(MUTABLE)}."
            raise invalid(text, "update_mask")
        deployment = self._deployments.find(asked.get("id", ""))
        if deployment is None or deployment.endpoint != call.name:
            raise GoogleError(
                "NOT_FOUND", f"The DeployedModel {asked.get('id', '')!r} is not at {call.name}."
            )

        def work(operation: Operation) -> Json:
            return {"deployedModel": self._mutate(deployment, asked, fields)}

        answer = "MutateDeployedModelResponse"
        return self._vertex.operations.begin(call.name, "MutateDeployedModel", work, answer)

    def summarised(self) -> list[dict[str, str]]:
        """Every endpoint of every project in a line: {name, status, region, account}."""
        return [_summary(one) for one in self.table.everything()]

    def _model(self, deployed: Json, call: Call) -> Json:
        name = canonical(deployed.get("model", ""))
        if not name.startswith(f"{call.place.name}/models/"):
            raise invalid(f"{name!r} is no Model of {call.place.name}.", "deployed_model.model")
        return self._models.find(name)

    def _deploy(
        self, operation: Operation, deployment: Deployment, shown: Json, rest: tuple[Json, Json, Call]
    ) -> Json:
        model, split, call = rest
        count = shown["dedicatedResources"]["minReplicaCount"]
        containers = tuple(self._container(deployment, model, shown, call) for _ in range(count))
        operation.on_cancel(lambda: stop_all(containers))
        try:
            start_all(containers)
            operation.check()
            self._deployments.put(dataclasses.replace(deployment, containers=containers))
            self.table.change(call.name, lambda one: _with_deployed(one, shown, split))
        except BaseException:
            stop_all(containers)
            self._deployments.remove(deployment.id)
            raise
        return {"deployedModel": shown}

    def _container(self, deployment: Deployment, model: Json, shown: Json, call: Call) -> Container:
        endpoint = deployment.endpoint.rpartition("/")[2]
        machine = shown["dedicatedResources"]["machineSpec"]
        identity = {
            "AIP_PROJECT_NUMBER": call.place.number,
            "AIP_ENDPOINT_ID": endpoint,
            "AIP_DEPLOYED_MODEL_ID": deployment.id,
            "AIP_MODEL_NAME": model["name"].rpartition("/")[2],
            "AIP_VERSION_NAME": deployment.version,
            "AIP_MACHINE_TYPE": machine["machineType"],
            "AIP_ACCELERATOR_TYPE": machine.get("acceleratorType", ""),
        }
        route = f"/v1/endpoints/{endpoint}/deployedModels/{deployment.id}"
        spec = ServingSpec(model["containerSpec"], model.get("artifactUri", ""), route, identity)
        log = self._vertex.logs.open(
            deployment.endpoint, endpoint_id=endpoint, deployed_model_id=deployment.id
        )
        return Container(self._vertex.settings, self._vertex.url, spec, log)

    def _mutate(self, deployment: Deployment, asked: Json, fields: list[str]) -> Json:
        resources = asked.get("dedicatedResources", {})
        changes = {MUTABLE[field]: resources.get(MUTABLE[field]) for field in fields}
        endpoint = self.table.get(deployment.endpoint)
        shown = next(one for one in endpoint["deployedModels"] if one["id"] == deployment.id)
        wanted = {**shown["dedicatedResources"], **{key: one for key, one in changes.items() if one}}
        changed = checked_deployed({**shown, "dedicatedResources": wanted})
        self._resize(deployment, changed["dedicatedResources"]["minReplicaCount"])

        def edit(one: Json) -> Json:
            models = [changed if held["id"] == deployment.id else held for held in one["deployedModels"]]
            return {**one, "deployedModels": models}

        self.table.change(deployment.endpoint, edit)
        return changed

    def _resize(self, deployment: Deployment, count: int) -> None:
        kept = deployment.containers[:count]
        first = deployment.containers[0]
        more = tuple(
            Container(
                self._vertex.settings,
                self._vertex.url,
                first.spec,
                self._vertex.logs.open(first.log.owner, **first.log.labels),
            )
            for _ in range(count - len(kept))
        )
        start_all(more)
        self._deployments.put(dataclasses.replace(deployment, containers=kept + more))
        stop_all(deployment.containers[count:], DRAIN_S)


def _check(endpoint: Json) -> None:
    """What an Endpoint must be beyond its types. Raises GoogleError."""
    if not endpoint.get("displayName"):
        raise invalid("The display_name of the Endpoint is required.", "endpoint.display_name")
    if endpoint.get("network") or endpoint.get("privateServiceConnectConfig"):
        text = "The local Vertex AI has no private endpoints: leave network and Private Service Connect out."
        raise GoogleError("UNIMPLEMENTED", text)
    labels.check(endpoint.get("labels", {}), "endpoint.labels")
    check_timeout(endpoint)


def _with_deployed(endpoint: Json, shown: Json, split: Json) -> Json:
    traffic = after_deploying(endpoint, shown["id"], split)
    return {
        **endpoint,
        "deployedModels": [*endpoint.get("deployedModels", []), shown],
        "trafficSplit": traffic,
    }


def _summary(endpoint: Json) -> dict[str, str]:
    _, number, _, region, _, _ = endpoint["name"].split("/")
    status = f"{len(endpoint.get('deployedModels', []))} deployed"
    return {"name": endpoint["displayName"], "status": status, "region": region, "account": number}


def _ids(endpoint: Json) -> set[str]:
    return {one["id"] for one in endpoint.get("deployedModels", [])}


def _snake(field: Any) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), str(field).strip())
