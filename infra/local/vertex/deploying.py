"""Models deployed to endpoints and taken off, with their traffic; the numbers of their replicas changed."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.containers import Container, ServingSpec
from infra.local.vertex.deployed import checked_deployed
from infra.local.vertex.deployments import Deployment, Deployments
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.messages import checked
from infra.local.vertex.models import Models
from infra.local.vertex.names import canonical
from infra.local.vertex.operations import Operation, new_id, now
from infra.local.vertex.replicacounts import bounds_of
from infra.local.vertex.replicas import DRAIN_S, Replicas
from infra.local.vertex.resources import Table
from infra.local.vertex.traffic import after_deploying, after_undeploying

MUTABLE = {
    "dedicated_resources.min_replica_count": "minReplicaCount",
    "dedicated_resources.max_replica_count": "maxReplicaCount",
    "dedicated_resources.required_replica_count": "requiredReplicaCount",
    "dedicated_resources.autoscaling_metric_specs": "autoscalingMetricSpecs",
}


class Deploying:
    """The operations on an endpoint's DeployedModels."""

    def __init__(self, vertex: Vertex, models: Models, endpoints: Table, deployments: Deployments) -> None:
        self._vertex, self._models = vertex, models
        self._endpoints, self._deployments = endpoints, deployments

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "endpoints/*:deployModel", self.deploy_model),
            Route("POST", "endpoints/*:undeployModel", self.undeploy_model),
            Route("POST", "endpoints/*:mutateDeployedModel", self.mutate_deployed_model),
        )

    def deploy_model(self, call: Call) -> Json:
        """DeployModel: the containers start, then the model is there and has its traffic."""
        request = checked("DeployModelRequest", {**call.body, "endpoint": call.name})
        deployed, split = checked_deployed(request.get("deployedModel", {})), request.get("trafficSplit", {})
        endpoint = self._endpoints.get(call.name)
        model = self._model(deployed, call)
        identifier = deployed.get("id") or new_id()
        if any(one["id"] == identifier for one in endpoint.get("deployedModels", [])):
            raise GoogleError("ALREADY_EXISTS", f"The DeployedModel {identifier} is there already.")
        after_deploying(endpoint, identifier, split)  # refused before anything starts
        shown = _shown({**deployed, "id": identifier}, model)
        deployment = self._registered(call, model, shown)

        def work(operation: Operation) -> Json:
            return self._deploy(operation, deployment, shown, split)

        return self._vertex.operations.begin(call.name, "DeployModel", work, "DeployModelResponse")

    def undeploy_model(self, call: Call) -> Json:
        """UndeployModel: only without traffic, or with a split that leaves it none, or as the last one."""
        request = checked("UndeployModelRequest", {**call.body, "endpoint": call.name})
        identifier, split = request.get("deployedModelId", ""), request.get("trafficSplit", {})

        def edit(endpoint: Json) -> Json:
            return after_undeploying(endpoint, identifier, split)

        edit(self._endpoints.get(call.name))  # refused at once

        def work(operation: Operation) -> Json:
            self._endpoints.change(call.name, edit)
            if gone := self._deployments.find(identifier):
                gone.replicas.close(DRAIN_S)
            self._deployments.remove(identifier)
            return {}

        return self._vertex.operations.begin(call.name, "UndeployModel", work, "UndeployModelResponse")

    def mutate_deployed_model(self, call: Call) -> Json:
        """MutateDeployedModel: the bounds of the replicas, and what their number follows."""
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
            raise _not_at(call.name, asked.get("id", ""))

        def work(operation: Operation) -> Json:
            with deployment.replicas.changing:
                return {"deployedModel": self._mutate(deployment, asked, fields)}

        answer = "MutateDeployedModelResponse"
        return self._vertex.operations.begin(call.name, "MutateDeployedModel", work, answer)

    def _model(self, deployed: Json, call: Call) -> Json:
        name = canonical(deployed.get("model", ""))
        if not name.startswith(f"{call.place.name}/models/"):
            raise invalid(f"{name!r} is no Model of {call.place.name}.", "deployed_model.model")
        return self._models.find(name)

    def _registered(self, call: Call, model: Json, shown: Json) -> Deployment:
        """The deployment, known from here on: neither its model nor its endpoint can be deleted."""
        spec = _spec(call, model, shown)
        identifier, version = shown["id"], model["versionId"]
        replicas = Replicas(partial(self._container, call.name, spec))
        deployment = Deployment(identifier, call.name, model["name"], version, model["displayName"], replicas)
        self._deployments.put(deployment)
        try:
            self._models.find(f"{model['name']}@{version}")
            self._endpoints.get(call.name)
        except GoogleError:
            self._deployments.remove(identifier)
            raise
        return deployment

    def _container(self, endpoint: str, spec: ServingSpec) -> Container:
        labels = {
            "endpoint_id": spec.identity["AIP_ENDPOINT_ID"],
            "deployed_model_id": spec.identity["AIP_DEPLOYED_MODEL_ID"],
        }
        log = self._vertex.logs.open(endpoint, **labels)
        return Container(self._vertex.settings, self._vertex.url, spec, log)

    def _deploy(self, operation: Operation, deployment: Deployment, shown: Json, split: Json) -> Json:
        replicas = deployment.replicas
        operation.on_cancel(replicas.close)
        try:
            with replicas.changing:
                replicas.resize(bounds_of(shown["dedicatedResources"]).least)
            operation.check()
            self._endpoints.change(deployment.endpoint, lambda one: _with_deployed(one, shown, split))
        except BaseException:
            replicas.close()
            self._deployments.remove(deployment.id)
            raise
        return {"deployedModel": shown}

    def _mutate(self, deployment: Deployment, asked: Json, fields: list[str]) -> Json:
        resources = asked.get("dedicatedResources", {})
        changes = {MUTABLE[field]: resources.get(MUTABLE[field]) for field in fields}
        endpoint = self._endpoints.get(deployment.endpoint)
        shown = [one for one in endpoint.get("deployedModels", ()) if one["id"] == deployment.id]
        if not shown:
            raise _not_at(deployment.endpoint, deployment.id)
        wanted = {**shown[0]["dedicatedResources"], **changes}
        given = {key: one for key, one in wanted.items() if one}  # what is named and not given is cleared
        changed = checked_deployed({**shown[0], "dedicatedResources": given})
        bounds = bounds_of(changed["dedicatedResources"])
        deployment.replicas.resize(bounds.hold(len(deployment.containers)))

        def edit(one: Json) -> Json:
            held = one.get("deployedModels", [])
            return {**one, "deployedModels": [changed if it["id"] == deployment.id else it for it in held]}

        self._endpoints.change(deployment.endpoint, edit)
        return changed


def _shown(deployed: Json, model: Json) -> Json:
    """The DeployedModel as its endpoint has it."""
    return {
        **deployed,
        "model": model["name"],
        "modelVersionId": model["versionId"],
        "displayName": deployed.get("displayName", model["displayName"]),
        "createTime": now(),
    }


def _spec(call: Call, model: Json, shown: Json) -> ServingSpec:
    """What each of its containers is made of."""
    endpoint, machine = call.name.rpartition("/")[2], shown["dedicatedResources"]["machineSpec"]
    identity = {
        "AIP_PROJECT_NUMBER": call.place.number,
        "AIP_ENDPOINT_ID": endpoint,
        "AIP_DEPLOYED_MODEL_ID": shown["id"],
        "AIP_MODEL_NAME": model["name"].rpartition("/")[2],
        "AIP_VERSION_NAME": model["versionId"],
        "AIP_MACHINE_TYPE": machine["machineType"],
        "AIP_ACCELERATOR_TYPE": machine.get("acceleratorType", ""),
    }
    route = f"/v1/endpoints/{endpoint}/deployedModels/{shown['id']}"
    return ServingSpec(model["containerSpec"], model.get("artifactUri", ""), route, identity)


def _with_deployed(endpoint: Json, shown: Json, split: Json) -> Json:
    traffic = after_deploying(endpoint, shown["id"], split)
    return {
        **endpoint,
        "deployedModels": [*endpoint.get("deployedModels", []), shown],
        "trafficSplit": traffic,
    }


def _not_at(endpoint: str, identifier: str) -> GoogleError:
    return GoogleError("NOT_FOUND", f"The DeployedModel {identifier!r} is not at {endpoint}.")


def _snake(field: Any) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), str(field).strip())
