"""The operations on endpoints. Each answers at once; a thread does the work, and the states tell of it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker import checks, constraints, descriptions, listing
from infra.local.sagemaker.containers import ContainerSpec, of_endpoint
from infra.local.sagemaker.fleets import Variant
from infra.local.sagemaker.models import Models, arn
from infra.local.sagemaker.rollouts import Rollouts
from infra.local.sagemaker.states import Endpoint, Endpoints, Key, Rollout

Json = dict[str, Any]


class EndpointOperations:
    """CreateEndpoint and its kin."""

    def __init__(self, cloud: Cloud, models: Models, endpoints: Endpoints) -> None:
        self.rollouts = Rollouts(cloud, endpoints)
        self._cloud, self._models, self._endpoints = cloud, models, endpoints

    def create_endpoint(self, caller: Caller, request: Json) -> Json:
        """CreateEndpoint."""
        constraints.check("CreateEndpoint", request)
        name, config = request["EndpointName"], request["EndpointConfigName"]
        rollout = self._rollout(caller, name, config)
        now = time.time()
        endpoint = Endpoint(caller, name, arn(caller, "endpoint", name), config, now, now, pending=rollout)
        if not self._endpoints.add(endpoint):
            raise checks.already_there(endpoint.arn)
        record = {member: value for member, value in request.items() if member != "DeploymentConfig"}
        self._cloud.moto(caller, "CreateEndpoint", record)
        self.rollouts.begin(self.rollouts.create, endpoint, rollout)
        return {"EndpointArn": endpoint.arn}

    def update_endpoint(self, caller: Caller, request: Json) -> Json:
        """UpdateEndpoint: the new containers beside the old, then all traffic at once."""
        constraints.check("UpdateEndpoint", request)
        endpoint = self._existing(caller, request["EndpointName"])
        rollout = self._rollout(caller, endpoint.name, request["EndpointConfigName"])
        checks.updatable(endpoint.arn, endpoint.status)
        # A rollback needs it: an endpoint whose own configuration was deleted cannot be updated.
        # Source: terraform-provider-aws 40048.
        self._models.describe_endpoint_config(caller, {"EndpointConfigName": endpoint.config})
        rollout = _with_retained(rollout, endpoint, request)
        updating = self._updating(endpoint, pending=rollout, deployment=_deployment(endpoint, request))
        self.rollouts.begin(self.rollouts.update, updating, rollout)
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, caller: Caller, request: Json) -> Json:
        """UpdateEndpointWeightsAndCapacities."""
        constraints.check("UpdateEndpointWeightsAndCapacities", request)
        endpoint = self._existing(caller, request["EndpointName"])
        checks.updatable(endpoint.arn, endpoint.status)
        asked = request["DesiredWeightsAndCapacities"]
        checks.known_variants([one["VariantName"] for one in asked], list(endpoint.fleet), endpoint.config)
        by_name = {one["VariantName"]: one for one in asked}
        desired = {name: _asked(one, by_name.get(name, {})) for name, one in endpoint.desired.items()}
        updating = self._updating(endpoint, desired=desired)
        self.rollouts.begin(self.rollouts.resize, updating)
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, caller: Caller, request: Json) -> Json:
        """DeleteEndpoint."""
        endpoint = self._existing(caller, request["EndpointName"])
        checks.deletable(endpoint.arn, endpoint.status)
        deleting = self._endpoints.move(endpoint, "Deleting", modified=time.time())
        if deleting is None:
            raise checks.in_progress(endpoint.arn)
        self.rollouts.begin(self.rollouts.delete, deleting)
        return {}

    def describe_endpoint(self, caller: Caller, request: Json) -> Json:
        """DescribeEndpoint."""
        return descriptions.described(self._existing(caller, request["EndpointName"]))

    def list_endpoints(self, caller: Caller, request: Json) -> Json:
        """ListEndpoints."""
        constraints.check("ListEndpoints", request)
        items = [descriptions.summarised(one) for one in self._endpoints.all_of(caller)]
        return listing.page(items, request, "Endpoint")

    def _existing(self, caller: Caller, name: str) -> Endpoint:
        endpoint = self._endpoints.find(Key.of(caller, name))
        if endpoint is None:
            raise checks.missing(arn(caller, "endpoint", name))
        return endpoint

    def _updating(self, endpoint: Endpoint, **changes: Any) -> Endpoint:
        # The last update's FailureReason goes when the next begins.
        updating = self._endpoints.move(endpoint, "Updating", modified=time.time(), failure="", **changes)
        if updating is None:
            raise checks.in_progress(endpoint.arn)
        return updating

    def _rollout(self, caller: Caller, endpoint: str, config: str) -> Rollout:
        found = self._models.describe_endpoint_config(caller, {"EndpointConfigName": config})
        variants = tuple(self._variant(caller, endpoint, one) for one in found["ProductionVariants"])
        return Rollout(config, variants, time.time())

    def _variant(self, caller: Caller, endpoint: str, given: Json) -> Variant:
        model = self._models.describe_model(caller, {"ModelName": given["ModelName"]})
        container = checks.container_of(model)
        startup = given.get("ContainerStartupHealthCheckTimeoutInSeconds")
        spec = ContainerSpec(
            caller=caller,
            owner=of_endpoint(endpoint, given["VariantName"]),
            image=container["Image"],
            model_data=checks.model_data(container),
            environment=container.get("Environment", {}),
            startup_s=startup or self._cloud.settings.startup_health_s,
        )
        return Variant(
            name=given["VariantName"],
            weight=float(given.get("InitialVariantWeight", 1.0)),
            count=given["InitialInstanceCount"],
            instance_type=given["InstanceType"],
            container=spec,
        )


def _asked(variant: Variant, asked: Json) -> Variant:
    weight = float(asked.get("DesiredWeight", variant.weight))
    return dataclasses.replace(variant, weight=weight, count=asked.get("DesiredInstanceCount", variant.count))


def _with_retained(rollout: Rollout, endpoint: Endpoint, request: Json) -> Rollout:
    """RetainAllVariantProperties: weights and numbers stay as they are, but for those excluded."""
    if not request.get("RetainAllVariantProperties"):
        return rollout
    excluded = {one["VariantPropertyType"] for one in request.get("ExcludeRetainedVariantProperties", ())}
    kept = {
        name: {"DesiredWeight": one.weight, "DesiredInstanceCount": one.count}
        for name, one in endpoint.desired.items()
    }
    variants = tuple(
        _asked(one, {key: value for key, value in kept.get(one.name, {}).items() if key not in excluded})
        for one in rollout.variants
    )
    return dataclasses.replace(rollout, variants=variants)


def _deployment(endpoint: Endpoint, request: Json) -> Any:
    given = request.get("DeploymentConfig")
    return endpoint.deployment if request.get("RetainDeploymentConfig") and not given else given
