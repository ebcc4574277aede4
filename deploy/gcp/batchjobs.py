"""Batch prediction jobs as Vertex AI has them: numbered by it, and known to us by their display names.

A display name is nobody's own, so whose a job is, its label slipway-deployment says.
"""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import BadRequest

from deploy.batch.cloud import Job
from deploy.config import Config
from deploy.gcp import clients, inventory, states
from deploy.target import CloudError


def create(config: Config, job: dict[str, Any]) -> Any:
    """Create the job, or take it back where another of its name is older: the one that there is then.

    Two commands may start the same job at once, and no name keeps the second from it.
    """
    asked = {"parent": inventory.place(config), "batch_prediction_job": job}
    made = clients.jobs(config.gcp.region).create_batch_prediction_job(request=asked)
    first = called(config, made.display_name) or made
    if first.name != made.name:
        cancel(config, made.name)
    return first


def called(config: Config, name: str) -> Any:
    """The job of this display name, ours or not; None if there is none."""
    return named(config, f'display_name="{name}"').get(name)


def named(config: Config, which: str) -> dict[str, Any]:
    """The jobs that the filter takes, ours or not, by display name: of several with one name the oldest."""
    asked = {"parent": inventory.place(config), "filter": which, "page_size": 100}
    listed = clients.jobs(config.gcp.region).list_batch_prediction_jobs(request=asked, retry=clients.READ)
    newest_first = sorted(listed, key=lambda job: (job.create_time, job.name), reverse=True)
    return {job.display_name: job for job in newest_first}


def described(config: Config, name: str) -> Any:
    """The job of this resource name as GetBatchPredictionJob has it."""
    return clients.jobs(config.gcp.region).get_batch_prediction_job(name=name, retry=clients.READ)


def cancel(config: Config, name: str) -> None:
    """Ask the job of this resource name to stop; one that has ended is no error."""
    try:
        clients.jobs(config.gcp.region).cancel_batch_prediction_job(name=name)
    except BadRequest as error:
        if told(described(config, name)).state == "InProgress":
            raise CloudError(f"batch prediction {name} could not be stopped: {error.message}") from error


def is_ours(config: Config, job: Any) -> bool:
    return bool(job.labels.get(inventory.OWNER_LABEL) == config.name)


def ours(config: Config, job: Any) -> Job:
    """The job as a run knows it. Raises CloudError where it is somebody else's."""
    if not is_ours(config, job):
        raise CloudError(
            f"transform job {job.display_name!r} is there already and is not this deployment's: "
            "give deploy.toml another `name`"
        )
    return told(job)


def told(job: Any) -> Job:
    return Job(
        job.display_name,
        states.word(job.state),
        job.create_time,
        started=job.start_time or None,
        reason=job.error.message,
        id=job.name,
    )
