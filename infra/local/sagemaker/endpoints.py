"""The operations on endpoints. Each answers at once; a thread does the work, and the states tell of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from infra.local.autoscaling import targets
from infra.local.cloud import Caller, Cloud
from infra.local.cloudwatch import CloudWatch
from infra.local.cloudwatch.moto_metrics import Place
from infra.local.errors import AwsError
from infra.local.sagemaker import checks, constraints, descriptions, listing, shifting
from infra.local.sagemaker.containers import ContainerSpec, of_endpoint
from infra.local.sagemaker.fleets import Serverless, Variant
from infra.local.sagemaker.models import Models, arn
from infra.local.sagemaker.options import options_of
from infra.local.sagemaker.rollouts import Rollouts
from infra.local.sagemaker.states import Endpoint, Endpoints, Key, Rollout, Stage

Json = dict[str, Any]


class EndpointOperations:
    """CreateEndpoint and its kin."""

    def __init__(self, cloud: Cloud, models: Models, endpoints: Endpoints, cloudwatch: CloudWatch) -> None:
        self.rollouts = Rollouts(cloud, endpoints, cloudwatch)
        self._cloud, self._models, self._endpoints = cloud, models, endpoints
        self._cloudwatch = cloudwatch

    def create_endpoint(self, caller: Caller, request: Json) -> Json:
        """CreateEndpoint."""
        constraints.check("CreateEndpoint", request)
        name, config = request["EndpointName"], request["EndpointConfigName"]
        rollout = self._rollout(caller, name, config)
        now = time.time()
        endpoint = Endpoint(
            caller=caller,
            name=name,
            arn=arn(caller, "endpoint", name),
            config=config,
            created=now,
            modified=now,
            pending=rollout,
            deployment=request.get("DeploymentConfig"),
        )
        if not self._endpoints.add(endpoint):
            raise checks.already_there(endpoint.arn)
        record = {member: value for member, value in request.items() if member != "DeploymentConfig"}
        self._cloud.moto(caller, "CreateEndpoint", record)
        self.rollouts.begin(self.rollouts.create, endpoint, rollout)
        return {"EndpointArn": endpoint.arn}

    def update_endpoint(self, caller: Caller, request: Json) -> Json:
        """UpdateEndpoint: the new containers beside the old, then traffic as the DeploymentConfig says."""
        constraints.check("UpdateEndpoint", request)
        endpoint = self._existing(caller, request["EndpointName"])
        rollout = self._rollout(caller, endpoint.name, request["EndpointConfigName"])
        checks.updatable(endpoint.arn, endpoint.status)
        checks.convertible(endpoint.is_serverless, any(one.serverless for one in rollout.variants))
        self._check_scaled(endpoint, rollout)
        # A rollback needs it: an endpoint whose own configuration was deleted cannot be updated.
        # Source: terraform-provider-aws 40048.
        self._models.describe_endpoint_config(caller, {"EndpointConfigName": endpoint.config})
        deployment = _deployment(endpoint, request)
        rollout = self._planned(caller, _with_retained(rollout, endpoint, request), deployment)
        updating = self._updating(endpoint, pending=rollout, deployment=deployment)
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
        # Source: developer guide, endpoint-delete-with-scaling.
        for target in targets.of_endpoint(_place(endpoint), endpoint.name):
            targets.forget(target)
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

    def _check_scaled(self, endpoint: Endpoint, rollout: Rollout) -> None:
        """A variant under autoscaling keeps its type. Source: developer guide, endpoint-scaling-update."""
        types = {one.name: one.instance_type for one in rollout.variants}
        for target in targets.of_endpoint(_place(endpoint), endpoint.name):
            now = endpoint.desired.get(target.variant)
            if now and types.get(target.variant) != now.instance_type:
                raise checks.scaled(target.resource)

    def _must_be_seen(self, caller: Caller, alarm: str, role: Caller) -> None:
        try:
            self._cloud.check_alarm(role, alarm)
        except AwsError as error:
            raise checks.alarm_missing(alarm) from error
        if self._cloudwatch.state_of(caller, alarm) is None:
            raise checks.alarm_missing(alarm)

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
        return Rollout(config, variants, time.time(), _launching(variants), options_of(found))

    def _planned(self, caller: Caller, rollout: Rollout, deployment: Json | None) -> Rollout:
        """The rollout with the steps of its deployment configuration."""
        count = max(1, sum(one.count for one in rollout.variants))
        if deployment:
            shifting.check(deployment, count)
            for alarm in shifting.alarms_of(deployment):
                self._must_be_seen(caller, alarm, rollout.variants[0].container.caller)
        plan = shifting.plan_of(deployment if _is_guarded(rollout) else None, count)
        return dataclasses.replace(rollout, plan=plan, stage=_launching(rollout.variants))

    def _variant(self, caller: Caller, endpoint: str, given: Json) -> Variant:
        model = self._models.describe_model(caller, {"ModelName": given["ModelName"]})
        container = checks.container_of(model)
        serverless = _serverless(given)
        settings = self._cloud.settings
        default = settings.serverless_startup_s if serverless else settings.startup_health_s
        startup = given.get("ContainerStartupHealthCheckTimeoutInSeconds")
        spec = ContainerSpec(
            caller=caller.assuming(model["ExecutionRoleArn"]),
            owner=of_endpoint(endpoint, given["VariantName"]),
            image=container["Image"],
            model_data=checks.model_data(container),
            environment=container.get("Environment", {}),
            startup_s=startup or default,
        )
        return Variant(
            name=given["VariantName"],
            weight=float(given.get("InitialVariantWeight", 1.0)),
            count=given.get("InitialInstanceCount", 0),
            instance_type=given.get("InstanceType", ""),
            container=spec,
            serverless=serverless,
        )


def _place(endpoint: Endpoint) -> Place:
    return Place(endpoint.caller.account, endpoint.caller.region)


def _is_guarded(rollout: Rollout) -> bool:
    """Whether deployment guardrails apply; if not, traffic goes over all at once and nothing bakes.

    Source: developer guide, deployment-guardrails ("asynchronous and real-time") and -exclusions.
    """
    (first, *others) = rollout.variants
    return not (others or first.serverless or rollout.options.capture or rollout.options.is_encrypted)


def _serverless(given: Json) -> Serverless | None:
    config = given.get("ServerlessConfig")
    if not config:
        return None
    provisioned = config.get("ProvisionedConcurrency", 0)
    return Serverless(config["MemorySizeInMB"], config["MaxConcurrency"], provisioned)


def _launching(variants: Sequence[Variant]) -> Stage:
    count = sum(one.count for one in variants)
    return Stage("Creating", f"Launching {count} instance(s).", time.time())


def _asked(variant: Variant, asked: Json) -> Variant:
    weight = float(asked.get("DesiredWeight", variant.weight))
    return dataclasses.replace(variant, weight=weight, count=asked.get("DesiredInstanceCount", variant.count))


def _with_retained(rollout: Rollout, endpoint: Endpoint, request: Json) -> Rollout:
    """RetainAllVariantProperties: weights, numbers and what is captured stay, but for those excluded."""
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
    options = rollout.options
    if "DataCaptureConfig" not in excluded:
        options = dataclasses.replace(options, capture=endpoint.options.capture)
    return dataclasses.replace(rollout, variants=variants, options=options)


def _deployment(endpoint: Endpoint, request: Json) -> Any:
    given = request.get("DeploymentConfig")
    return endpoint.deployment if request.get("RetainDeploymentConfig") and not given else given
