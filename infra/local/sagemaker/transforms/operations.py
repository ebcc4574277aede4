"""The operations on transform jobs. Each answers at once; a thread does the work, and states tell of it."""

from __future__ import annotations

import threading
import time
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker import checks, constraints, listing
from infra.local.sagemaker.containers import ContainerSpec, Owner
from infra.local.sagemaker.models import SAGEMAKER, Models, arn
from infra.local.sagemaker.states import Key
from infra.local.sagemaker.transforms import inputs, parameters, rules, states
from infra.local.sagemaker.transforms.datalog import GROUP
from infra.local.sagemaker.transforms.files import Handling
from infra.local.sagemaker.transforms.posting import Client
from infra.local.sagemaker.transforms.runs import Plan, Runs
from infra.local.sagemaker.transforms.states import ENDED, TransformJob, TransformJobs

PING_FAILED = (
    "AlgorithmError: The model container did not pass the ping health check. "
    "Please check CloudWatch logs for this job."
)
Json = dict[str, Any]


class TransformOperations:
    """CreateTransformJob and its kin."""

    def __init__(self, cloud: Cloud, models: Models) -> None:
        self._cloud, self._models = cloud, models
        self._jobs = TransformJobs()
        self.runs = Runs(cloud, self._jobs)
        self._turn = threading.Lock()  # of two that create one name, one is refused

    def create_transform_job(self, caller: Caller, request: Json) -> Json:
        """CreateTransformJob: whatever is refused leaves no trace."""
        constraints.check("CreateTransformJob", request)
        rules.check(request, self._cloud.settings.transform_instances)
        job = _job(caller, request)
        with self._turn:
            if self._jobs.find(job.key):
                raise rules.already_there(job.arn)
            plan = self._plan(job)
            self._cloud.moto(caller, "CreateTransformJob", {**request, "Tags": request.get("Tags", [])})
            self._jobs.add(job)
        self.runs.begin(job, plan)
        return {"TransformJobArn": job.arn}

    def describe_transform_job(self, caller: Caller, request: Json) -> Json:
        """DescribeTransformJob."""
        constraints.check("DescribeTransformJob", request)
        job = self._jobs.find(Key.of(caller, request["TransformJobName"]))
        if job is None:
            raise rules.missing(request["TransformJobName"])
        return states.described(job)

    def list_transform_jobs(self, caller: Caller, request: Json) -> Json:
        """ListTransformJobs."""
        constraints.check("ListTransformJobs", request)
        items = [states.summarised(one) for one in self._jobs.all_of(caller)]
        answer = listing.page(items, request, "TransformJob")
        return {"TransformJobSummaries": answer.pop("TransformJobs"), **answer}

    def stop_transform_job(self, caller: Caller, request: Json) -> Json:
        """StopTransformJob: one that stops already is left to it."""
        constraints.check("StopTransformJob", request)
        key = Key.of(caller, request["TransformJobName"])
        if self._jobs.find(key) is None:
            raise rules.nothing_to_stop(key.name)
        before = self._jobs.stop(key)
        if before in ENDED:
            raise rules.not_running(before)
        self.runs.stop(key)
        return {}

    def _plan(self, job: TransformJob) -> Plan:
        model = self._models.describe_model(job.caller, {"ModelName": job.request["ModelName"]})
        role = model["ExecutionRoleArn"]
        if not self._cloud.role_trusts(job.caller, role, SAGEMAKER, job.arn):
            raise checks.role_invalid(role)
        assumed = job.caller.assuming(role)
        return Plan(
            sources=inputs.found(self._cloud, assumed, job.request),
            handling=_handling(job.request),
            client=_client(job.request),
            container=self._container(job, assumed, checks.container_of(model)),
        )

    def _container(self, job: TransformJob, assumed: Caller, container: Json) -> ContainerSpec:
        own = {**parameters.environment(job.request), **job.request.get("Environment", {})}
        return ContainerSpec(
            caller=assumed,
            owner=_owner(job),
            image=container["Image"],
            model_data=checks.model_data(container),
            environment={**container.get("Environment", {}), **own},
            startup_s=self._cloud.settings.transform_startup_s,
        )


def _job(caller: Caller, request: Json) -> TransformJob:
    name = request["TransformJobName"]
    return TransformJob(caller, name, arn(caller, "transform-job", name), request, time.time())


def _owner(job: TransformJob) -> Owner:
    # Source: logging-cloudwatch, [transform-job-name]/[instance-id]-[epoch_timestamp].
    stream = f"{job.name}/{{instance}}-{int(job.created)}"
    return Owner("transform job", job.name, GROUP, stream, PING_FAILED)


def _handling(request: Json) -> Handling:
    given, wanted = request["TransformInput"], request["TransformOutput"]
    return Handling(
        split=given.get("SplitType", "None"),
        is_packed=given.get("CompressionType") == "Gzip",
        ends_lines=wanted.get("AssembleWith") == "Line",
        output_bucket=inputs.split(wanted["S3OutputPath"])[0],
        processing=rules.processing(request),
    )


def _client(request: Json) -> Client:
    headers = {
        "Content-Type": request["TransformInput"].get("ContentType", ""),
        "Accept": request["TransformOutput"].get("Accept", ""),
    }
    given = request.get("ModelClientConfig", {})
    return Client(
        headers={name: value for name, value in headers.items() if value},
        timeout_s=float(given.get("InvocationsTimeoutInSeconds", Client.timeout_s)),
        retries=given.get("InvocationsMaxRetries", Client.retries),
    )
