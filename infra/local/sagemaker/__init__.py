"""SageMaker made true: moto keeps the records, endpoints are processes that serve the model.

What is not among `SageMaker.operations` is answered by moto's records alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from infra.local.asgi import Receive, Scope, Send
from infra.local.cloud import Cloud, Operation
from infra.local.cloudwatch import CloudWatch
from infra.local.sagemaker.endpoints import EndpointOperations
from infra.local.sagemaker.models import Models, let_moto_take_every_instance_type
from infra.local.sagemaker.runtime import DataPlane
from infra.local.sagemaker.states import Endpoints
from infra.local.sagemaker.tags import Tags
from infra.local.sagemaker.trainings.operations import TrainingOperations
from infra.local.sagemaker.transforms.operations import TransformOperations


class SageMaker:
    """The service; see `infra.local.cloud.Service`."""

    def __init__(self, cloud: Cloud, cloudwatch: CloudWatch) -> None:
        let_moto_take_every_instance_type()
        table = Endpoints()
        models, tags = Models(cloud), Tags(cloud)
        self._endpoints = EndpointOperations(cloud, models, table, cloudwatch)
        self._data_plane = DataPlane(cloud, table, cloudwatch)
        self._trainings = trainings = TrainingOperations(cloud)
        self._transforms = TransformOperations(cloud, models)
        self._operations: Mapping[str, Operation] = {
            "CreateModel": models.create_model,
            "DescribeModel": models.describe_model,
            "DeleteModel": models.delete_model,
            "ListModels": models.list_models,
            "CreateEndpointConfig": models.create_endpoint_config,
            "DescribeEndpointConfig": models.describe_endpoint_config,
            "DeleteEndpointConfig": models.delete_endpoint_config,
            "ListEndpointConfigs": models.list_endpoint_configs,
            "CreateEndpoint": self._endpoints.create_endpoint,
            "UpdateEndpoint": self._endpoints.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._endpoints.update_weights_and_capacities,
            "DescribeEndpoint": self._endpoints.describe_endpoint,
            "DeleteEndpoint": self._endpoints.delete_endpoint,
            "ListEndpoints": self._endpoints.list_endpoints,
            "CreateTransformJob": self._transforms.create_transform_job,
            "DescribeTransformJob": self._transforms.describe_transform_job,
            "ListTransformJobs": self._transforms.list_transform_jobs,
            "StopTransformJob": self._transforms.stop_transform_job,
            "CreateTrainingJob": trainings.create_training_job,
            "DescribeTrainingJob": trainings.describe_training_job,
            "ListTrainingJobs": trainings.list_training_jobs,
            "StopTrainingJob": trainings.stop_training_job,
            "AddTags": tags.add_tags,
            "ListTags": tags.list_tags,
            "DeleteTags": tags.delete_tags,
        }

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The control plane's operations by name."""
        return self._operations

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The data plane."""
        await self._data_plane.invoke(scope, receive, send)

    async def close(self) -> None:
        """Stops every container and waits until they are gone."""
        closing = (self._endpoints.rollouts.close, self._trainings.close, self._transforms.runs.close)
        await asyncio.gather(*(asyncio.to_thread(close) for close in closing))
        await self._data_plane.close()
