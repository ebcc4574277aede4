"""Models and endpoint configurations: moto keeps the records, here is what SageMaker refuses of them."""

from __future__ import annotations

import threading
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker import checks, constraints, listing

SAGEMAKER = "sagemaker.amazonaws.com"
DESCRIBED = {
    "model": "Model",
    "endpoint-config": "EndpointConfig",
    "endpoint": "Endpoint",
    "transform-job": "TransformJob",
    "training-job": "TrainingJob",
}
Json = dict[str, Any]


def let_moto_take_every_instance_type() -> None:
    """moto's own list ends in 2020; the types are checked against botocore's before moto sees them."""
    from moto.sagemaker.models import FakeEndpointConfig

    setattr(FakeEndpointConfig, "validate_instance_type", lambda _self, _instance_type: None)  # noqa: B010 - mypy


def arn(caller: Caller, kind: str, name: str) -> str:
    """The ARN of a `model`, an `endpoint-config` or an `endpoint`."""
    partition = "aws-cn" if caller.region.startswith("cn-") else "aws"
    return f"arn:{partition}:sagemaker:{caller.region}:{caller.account}:{kind}/{name}"


def found(cloud: Cloud, caller: Caller, kind: str, name: str) -> Json:
    """moto's record of it; raises SageMaker's refusal of an unknown name."""
    word = DESCRIBED[kind]
    try:
        return cloud.moto(caller, f"Describe{word}", {f"{word}Name": name})
    except AwsError as error:
        if error.message.startswith("Could not find"):
            raise checks.missing(arn(caller, kind, name)) from None
        raise


class Models:
    """The operations on models and endpoint configurations."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._turn = threading.Lock()  # of two that create one name, one is refused

    def create_model(self, caller: Caller, request: Json) -> Json:
        """CreateModel: the role, the image's form and the archive are checked, as SageMaker does."""
        constraints.check("CreateModel", request)
        container = checks.container_of(request)
        checks.image(container.get("Image"))
        checks.environment(container.get("Environment", {}))
        role = request.get("ExecutionRoleArn")
        source = arn(caller, "model", request["ModelName"])
        if not role or not self._cloud.role_trusts(caller, role, SAGEMAKER, source):
            raise checks.role_invalid(role)
        if url := checks.model_data(container):
            self._must_be_readable(caller.assuming(role), url)
        with self._turn:
            self._must_be_free(caller, "model", request["ModelName"])
            return self._cloud.moto(caller, "CreateModel", request)

    def describe_model(self, caller: Caller, request: Json) -> Json:
        """DescribeModel: an unknown name is refused in SageMaker's words."""
        return found(self._cloud, caller, "model", request["ModelName"])

    def delete_model(self, caller: Caller, request: Json) -> Json:
        """DeleteModel: allowed though an endpoint serves it. Source: API_DeleteModel says nothing of use."""
        self.describe_model(caller, request)
        return self._cloud.moto(caller, "DeleteModel", request)

    def list_models(self, caller: Caller, request: Json) -> Json:
        """ListModels: moto neither filters nor pages."""
        constraints.check("ListModels", request)
        return listing.page(self._all(caller, "ListModels", "Models"), request, "Model")

    def create_endpoint_config(self, caller: Caller, request: Json) -> Json:
        """CreateEndpointConfig: the models must be there."""
        constraints.check("CreateEndpointConfig", request)
        checks.endpoint_config(request)
        names = [variant["ModelName"] for variant in request["ProductionVariants"]]
        models = [self.describe_model(caller, {"ModelName": name}) for name in names]
        checks.serverless_alone(request, models)
        with self._turn:
            self._must_be_free(caller, "endpoint-config", request["EndpointConfigName"])
            return self._cloud.moto(caller, "CreateEndpointConfig", request)

    def describe_endpoint_config(self, caller: Caller, request: Json) -> Json:
        """DescribeEndpointConfig: an unknown name is refused in SageMaker's words."""
        return found(self._cloud, caller, "endpoint-config", request["EndpointConfigName"])

    def delete_endpoint_config(self, caller: Caller, request: Json) -> Json:
        """DeleteEndpointConfig: allowed though an endpoint runs on it, which then cannot be updated any more.

        Source: API_DeleteEndpointConfig warns of it and refuses nothing; terraform-provider-aws 40048.
        """
        self.describe_endpoint_config(caller, request)
        return self._cloud.moto(caller, "DeleteEndpointConfig", request)

    def list_endpoint_configs(self, caller: Caller, request: Json) -> Json:
        """ListEndpointConfigs: the newest first, which moto has the other way round."""
        constraints.check("ListEndpointConfigs", request)
        items = self._all(caller, "ListEndpointConfigs", "EndpointConfigs")
        return listing.page(items, request, "EndpointConfig")

    def _must_be_free(self, caller: Caller, kind: str, name: str) -> None:
        try:
            found(self._cloud, caller, kind, name)
        except AwsError:
            return
        raise checks.already_there(arn(caller, kind, name))

    def _must_be_readable(self, caller: Caller, url: str) -> None:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            self._cloud.open_object(caller, bucket, key).close()
        except AwsError as error:
            if error.status == 403:
                raise checks.model_data_closed(url, caller.role, caller.region) from None
            raise checks.model_data_missing(url) from None

    def _all(self, caller: Caller, operation: str, member: str) -> list[Json]:
        items: list[Json] = []
        request: Json = {"MaxResults": 100}
        while True:
            answer = self._cloud.moto(caller, operation, request)
            items += answer.get(member, [])
            if not answer.get("NextToken"):
                return items
            request = {**request, "NextToken": answer["NextToken"]}
