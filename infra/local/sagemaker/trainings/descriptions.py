"""How a training job is told of in DescribeTrainingJob and ListTrainingJobs. Pure.

Source: API_DescribeTrainingJob, API_TrainingJobSummary.
"""

from __future__ import annotations

from typing import Any

from infra.local.sagemaker.trainings.states import MESSAGES, Job, Phase

Json = dict[str, Any]
DEFAULT_RUNTIME_S = 24 * 60 * 60  # Source: API_StoppingCondition
# What DescribeTrainingJob repeats of the request: all but the tags.
_NOT_TOLD = ("Tags", "SessionChainingConfig")


def described(job: Job) -> Json:
    """DescribeTrainingJob's answer, without what there is nothing to say of."""
    request = {name: value for name, value in job.request.items() if name not in _NOT_TOLD}
    defaults = {
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_S},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
    }
    optional = {
        "ModelArtifacts": {"S3ModelArtifacts": job.model} if job.model else None,
        "FailureReason": job.failure,
        "FinalMetricDataList": _metrics(job),
        "TrainingStartTime": job.started,
    }
    return {
        **defaults,
        **request,
        **_statuses(job),
        "SecondaryStatusTransitions": [_transition(phase) for phase in job.phases],
        **{name: value for name, value in optional.items() if value},
        **_times(job),
    }


def summarised(job: Job) -> Json:
    """The job's line in ListTrainingJobs."""
    return {**_statuses(job), **({"TrainingEndTime": job.ended} if job.ended else {})}


def _statuses(job: Job) -> Json:
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.phases[-1].status,
    }


def _times(job: Job) -> Json:
    if job.ended is None:
        return {}
    if job.started is None:
        return {"TrainingEndTime": job.ended}
    seconds = max(1, round(job.ended - job.started))
    # No spot instance is taken away here, so that every second is billed.
    return {
        "TrainingEndTime": job.ended,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
    }


def _transition(phase: Phase) -> Json:
    end = {"EndTime": phase.until} if phase.until is not None else {}
    return {
        "Status": phase.status,
        "StartTime": phase.since,
        **end,
        "StatusMessage": MESSAGES[phase.status],
    }


def _metrics(job: Job) -> list[Json]:
    return [
        {"MetricName": name, "Value": one.value, "Timestamp": one.seen} for name, one in job.metrics.items()
    ]
