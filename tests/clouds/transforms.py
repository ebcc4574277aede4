"""Transform jobs on both clouds as the tests see them, through clients of their own."""

from __future__ import annotations

from typing import Any


class AwsJobs:
    """The transform jobs of the account, the newest first."""

    def __init__(self, cloud: Any) -> None:
        self._client = cloud.local.client("sagemaker")

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_transform_jobs").paginate()
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]

    def state(self, name: str) -> str:
        return self._client.describe_transform_job(TransformJobName=name)["TransformJobStatus"]

    def copy(self, name: str, another: str, owner: str = "") -> None:
        """Start the job once more under another name, as a deployment's of that name or as nobody's."""
        first = self._client.describe_transform_job(TransformJobName=name)
        parts = ("ModelName", "TransformInput", "TransformOutput", "TransformResources", "Environment")
        tags = [{"Key": "slipway:deployment", "Value": owner}] if owner else []
        self._client.create_transform_job(
            TransformJobName=another, Tags=tags, **{part: first[part] for part in parts}
        )

    def remove_models(self) -> None:
        for model in self._client.list_models(NameContains="iris-")["Models"]:
            self._client.delete_model(ModelName=model["ModelName"])


class GcpJobs:
    """The batch prediction jobs of the project, the newest first, by their display names."""

    parent = "projects/slipway-tests/locations/us-central1"

    def __init__(self, cloud: Any) -> None:
        self._client, self._models = cloud.jobs, cloud.models

    def names(self) -> list[str]:
        return [job.display_name for job in self._newest_first()]

    def state(self, name: str) -> str:
        (job,) = (job for job in self._newest_first() if job.display_name == name)
        states = {"SUCCEEDED": "Completed", "CANCELLED": "Stopped", "RUNNING": "InProgress"}
        return states.get(job.state.name.removeprefix("JOB_STATE_"), job.state.name)

    def _newest_first(self) -> list[Any]:
        found = self._client.list_batch_prediction_jobs(parent=self.parent)
        return sorted(found, key=lambda job: job.create_time, reverse=True)

    def copy(self, name: str, another: str, owner: str = "") -> None:
        (first,) = (job for job in self._newest_first() if job.display_name == name)
        labels = {"slipway-deployment": owner} if owner else {}
        given = ("unmanaged_container_model", "input_config", "output_config", "dedicated_resources")
        job = {"display_name": another, "labels": labels} | {part: getattr(first, part) for part in given}
        self._client.create_batch_prediction_job(
            parent=self.parent, batch_prediction_job={**job, "instance_config": first.instance_config}
        )

    def remove_models(self) -> None:
        for model in self._models.list_models(parent=self.parent):
            if model.name.rpartition("/")[2].startswith("iris-"):
                self._models.delete_model(name=model.name).result(30)
