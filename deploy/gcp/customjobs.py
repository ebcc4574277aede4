"""Custom jobs as Vertex AI has them: they are numbered by it, and known to us by their display names.

A display name is nobody's own, so whose a job is, its label slipway-deployment says.
"""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import BadRequest, NotFound

from deploy.config import Config
from deploy.gcp import clients, inventory, states
from deploy.training import addresses

# The resource names of jobs that this process has started or found, by place and display name.
_known: dict[str, str] = {}


def create(config: Config, job: dict[str, Any]) -> None:
    """CreateCustomJob."""
    made = clients.jobs(config.gcp.region).create_custom_job(
        request={"parent": inventory.place(config), "custom_job": job}
    )
    _known[_key(config, job["display_name"])] = made.name


def find(config: Config, name: str) -> Any:
    """The job of ours with this display name as GetCustomJob has it; None if there is none."""
    if known := _known.get(_key(config, name)):
        try:
            return clients.jobs(config.gcp.region).get_custom_job(name=known, retry=clients.READ)
        except NotFound:
            return None
    ours = [job for job in _listed(config, f'display_name="{name}"') if is_ours(config, job)]
    if not ours:
        return None
    _known[_key(config, name)] = ours[-1].name
    return ours[-1]


def ended_well(config: Config) -> list[Any]:
    """The jobs with a name of this deployment's that succeeded, ours or not, the newest first."""
    return _with_our_name(config, f'state="{states.PREFIX}SUCCEEDED"')


def moving(config: Config) -> list[Any]:
    """The jobs with a name of this deployment's that have not ended, ours or not, the newest first."""
    over = (f'state!="{states.PREFIX}{word}"' for word in ("SUCCEEDED", "FAILED", "CANCELLED"))
    found = _with_our_name(config, " AND ".join(over))
    return [job for job in found if states.word(job.state) in states.MOVING]


def _with_our_name(config: Config, which: str) -> list[Any]:
    begins = f'display_name:"{addresses.stem(config.name)}-*"'
    listed = _listed(config, f"{which} AND {begins}")
    return [job for job in listed if addresses.is_named_so(config.name, job.display_name)]


def _listed(config: Config, which: str) -> list[Any]:
    """The newest first: the API promises no order."""
    request = {"parent": inventory.place(config), "filter": which, "page_size": 100}
    found = clients.jobs(config.gcp.region).list_custom_jobs(request=request, retry=clients.READ)
    return sorted(found, key=lambda job: job.create_time, reverse=True)


def is_ours(config: Config, job: Any) -> bool:
    return bool(job.labels.get(inventory.OWNER_LABEL) == config.name)


def cancel(config: Config, job: Any) -> None:
    """Ask the job to end; one that has ended is no error."""
    client = clients.jobs(config.gcp.region)
    try:
        client.cancel_custom_job(name=job.name)
    except BadRequest:
        now = client.get_custom_job(name=job.name, retry=clients.READ)
        if states.word(now.state) == "InProgress":
            raise


def _key(config: Config, name: str) -> str:
    return f"{inventory.place(config)}/{name}"
