"""The operations on training jobs. Each answers at once; a thread does the work, the states tell of it."""

from __future__ import annotations

import threading
import time
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker import constraints, listing
from infra.local.sagemaker.models import SAGEMAKER, arn
from infra.local.sagemaker.states import Key
from infra.local.sagemaker.trainings import descriptions, rules
from infra.local.sagemaker.trainings.channels import Place
from infra.local.sagemaker.trainings.runs import Run
from infra.local.sagemaker.trainings.states import Job, Jobs, Phase

Json = dict[str, Any]


class TrainingOperations:
    """CreateTrainingJob and its kin."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs = Jobs()
        self._turn = threading.Lock()  # of two that create one name, one is refused
        self._runs: dict[Key, Run] = {}
        self._closed = False

    def create_training_job(self, caller: Caller, request: Json) -> Json:
        """CreateTrainingJob: nothing is recorded of what is refused."""
        constraints.check("CreateTrainingJob", request)
        rules.request(request)
        source = arn(caller, "training-job", request["TrainingJobName"])
        if not self._cloud.role_trusts(caller, request["RoleArn"], SAGEMAKER, source):
            raise rules.role_not_assumed(request["RoleArn"])
        self._must_have_data(caller.assuming(request["RoleArn"]), request)
        self._must_have_buckets(caller, request)
        job = _new(caller, request)
        with self._turn:
            if self._closed:
                raise AwsError(503, "ServiceUnavailable", "The local cloud is stopping.")
            if self._jobs.find(job.key):
                raise rules.name_taken(job.arn)
            self._cloud.moto(caller, "CreateTrainingJob", request)  # which keeps the tags
            self._jobs.add(job)
            self._runs[job.key] = Run(self._cloud, self._jobs, job)
            self._runs[job.key].begin()
        return {"TrainingJobArn": job.arn}

    def describe_training_job(self, caller: Caller, request: Json) -> Json:
        """DescribeTrainingJob."""
        constraints.check("DescribeTrainingJob", request)
        return descriptions.described(self._existing(caller, request))

    def list_training_jobs(self, caller: Caller, request: Json) -> Json:
        """ListTrainingJobs."""
        constraints.check("ListTrainingJobs", request)
        # No job here keeps its instance warm, or has a training plan.
        has_none = request.get("WarmPoolStatusEquals") or request.get("TrainingPlanArnEquals")
        jobs = [] if has_none else self._jobs.all_of(caller)
        items = [descriptions.summarised(one) for one in jobs]
        answer = listing.page(items, request, "TrainingJob")
        return {"TrainingJobSummaries": answer.pop("TrainingJobs"), **answer}

    def stop_training_job(self, caller: Caller, request: Json) -> Json:
        """StopTrainingJob: the script has 120 s to save. Source: API_StopTrainingJob."""
        constraints.check("StopTrainingJob", request)
        job = self._existing(caller, request)
        if not self._jobs.stop(job.key):
            raise rules.not_to_be_stopped(self._existing(caller, request).status)
        grace_s = self._cloud.settings.training_stop_grace_s
        _in_threads([(self._runs[job.key].stop, grace_s)])
        return {}

    def close(self) -> None:
        """Ends every job side by side and waits; none is begun any more."""
        with self._turn:
            self._closed = True
        ending = [(run.abandon, self._cloud.settings.stop_grace_s) for run in self._runs.values()]
        for thread in _in_threads(ending):
            thread.join()

    def _existing(self, caller: Caller, request: Json) -> Job:
        job = self._jobs.find(Key.of(caller, request["TrainingJobName"]))
        if job is None:
            raise rules.missing()
        return job

    def _must_have_data(self, caller: Caller, request: Json) -> None:
        """What a manifest names is only read by the job itself."""
        for channel in request.get("InputDataConfig", ()):
            source = channel["DataSource"]["S3DataSource"]
            if source["S3DataType"] == "S3Prefix" and not self._keys(caller, source["S3Uri"]):
                raise rules.no_objects(source["S3Uri"], request["RoleArn"], caller.region)

    def _must_have_buckets(self, caller: Caller, request: Json) -> None:
        places = [("OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"])]
        if request.get("CheckpointConfig"):
            places.append(("CheckpointConfig.S3Uri", request["CheckpointConfig"]["S3Uri"]))
        for member, url in places:
            if self._keys(caller, url) is None:
                raise rules.no_bucket(member, url)

    def _keys(self, caller: Caller, url: str) -> list[str] | None:
        place = Place.of(url)
        try:
            return self._cloud.list_keys(caller, place.bucket, place.key)
        except AwsError:
            return None


def _new(caller: Caller, request: Json) -> Job:
    name, now = request["TrainingJobName"], time.time()
    identity = arn(caller, "training-job", name)
    return Job(caller, name, identity, request, now, now, (Phase("Starting", now),))


def _in_threads(work: list[tuple[Any, float]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=do, args=(grace_s,), daemon=True) for do, grace_s in work]
    for thread in threads:
        thread.start()
    return threads
