"""Training jobs on Vertex AI: what one is asked for, how it is started and stopped, and what it left.

A job is a CustomJob on one machine, which runs the kit's launch_vertex.py. All of a deployment's training
lies under `<name>/training/` in its bucket: bundles under their digests, checkpoints, and what each job left
under the job's name. The functions are those of `deploy.target.Trainings`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.batch.places import Remote
from deploy.config import Config
from deploy.gcp import clients, customjobs, entries, states, storage, terms
from deploy.gcp.clients import told
from deploy.gcp.inventory import last
from deploy.plan import Resource, Seen
from deploy.target import CloudError, Event, Refused, Say, TrainingJob, Wanted
from deploy.training import addresses, gathering, staging
from deploy.training.bundles import Bundle
from deploy.training.entries import CODE, as_text

SCHEME = storage.SCHEME
# The kinds of what trainings leave.
FILES, JOB = LEFT = ("training_files", "training_job")
DIGEST_LABEL = "slipway-training"
LAUNCHER = "launch_vertex.py"
LONGEST_S = 604_800  # Source: the Vertex AI API's Scheduling.timeout: 7 days, and no word of more
LEAST_DISK_GB = 100  # Source: cloud.google.com/vertex-ai/docs/training/configure-compute: 100 to 64000
LOOKED_AT = 20  # jobs that succeeded whose model is looked for: `destroy` takes models away, and jobs stay


def image(config: Config) -> str:
    """The image to train in: it needs a Python, and the serving image has the torch that serves, too."""
    return config.gcp.training_image or config.gcp.image


def serving_image(config: Config) -> str:
    """The image that serves."""
    return config.gcp.image


def desired(config: Config, image: str, bundles: Sequence[Bundle]) -> Wanted:
    """The CustomJob but for its name and what goes by it. Reads nothing.

    CloudError for a job that would run longer than Vertex AI lets one.
    """
    gcp, training, root = config.gcp, config.training, _root(config)
    _refuse_too_long(training.max_run_s)
    machine = training.machine_type or gcp.machine_type
    channels = {bundle.channel: addresses.channel_uri(root, bundle) for bundle in bundles}
    container: dict[str, Any] = {
        "image_uri": image,
        # Buckets are mounted below /gcs.
        # Source: cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system
        "command": ["python3", f"/gcs/{channels[CODE].removeprefix('gs://')}{LAUNCHER}"],
        "args": _arguments(config, channels),
    }
    pool: dict[str, Any] = {
        "machine_spec": {"machine_type": machine},
        "replica_count": 1,
        "container_spec": container,
        "disk_spec": {"boot_disk_size_gb": max(LEAST_DISK_GB, training.volume_gb)},
    }
    spec: dict[str, Any] = {
        "worker_pool_specs": [pool],
        "scheduling": {"timeout": {"seconds": training.max_run_s}, **_spot(config)},
        **({"service_account": gcp.service_account} if gcp.service_account else {}),
    }
    digest = addresses.digest(spec)
    labels = terms.labels(config) | {DIGEST_LABEL: digest}
    told_as = f"{machine}{' (spot)' if training.spot else ''}"
    return Wanted(digest, told_as, {"job_spec": spec, "labels": labels}, tuple(bundles))


def _refuse_too_long(seconds: int) -> None:
    if seconds > LONGEST_S:
        raise CloudError(
            f"deploy.toml: [training]: max_run_s is {seconds}, expected at most {LONGEST_S} (7 days) "
            "on Vertex AI"
        )


def _arguments(config: Config, channels: Mapping[str, str]) -> list[str]:
    """What launch_vertex.py is told. A name and its value are one word: a value may begin with '-'.

    The code's channel is no argument of it: it lies there.
    """
    given = {name: as_text(value) for name, value in config.training.hyperparameters.items()}
    # A job's own checkpoints are its own; those of spot jobs are for whichever trains the same.
    kept = addresses.checkpoints(_root(config), [given, channels]) if config.training.spot else ""
    return [
        *(f"--channel={name}={uri}" for name, uri in channels.items() if name != CODE),
        *([f"--checkpoints={kept}"] if kept else []),
        "--",
        *(f"--{name}={value}" for name, value in given.items()),
    ]


def _spot(config: Config) -> dict[str, Any]:
    """A job that loses its machine begins again on another one, with the checkpoints that it had saved."""
    return {"strategy": "SPOT", "restart_job_on_worker_restart": True} if config.training.spot else {}


def _root(config: Config) -> Remote:
    return addresses.root(SCHEME, config.gcp.bucket, config.name)


def _left(config: Config, name: str) -> Remote:
    """Where a job leaves what it makes: its base output directory."""
    return _root(config) / f"{name}/"


def _model(config: Config, name: str) -> Remote:
    # Source: cloud.google.com/vertex-ai/docs/training/code-requirements: AIP_MODEL_DIR
    return _left(config, name) / "model/"


def new_name(config: Config, wanted: Wanted) -> str:
    """A name that no job has had: the deployment's, the time, and what is trained."""
    return addresses.new_name(config.name, wanted.digest)


@told()
def check(config: Config, wanted: Wanted) -> None:
    """Fail now if a channel's gs:// prefix holds nothing or is in no bucket of the project's."""
    for bundle in wanted.bundles:
        if bundle.uri:
            _check_prefix(config, bundle)


def _check_prefix(config: Config, bundle: Bundle) -> None:
    place = f"deploy.toml: [training.channels]: {bundle.channel}: {bundle.uri}"
    bucket, _, key = bundle.uri.removeprefix("gs://").partition("/")
    storage.reachable(config, bucket, f"{place}: bucket {bucket!r}")
    # As launch_vertex.py reads it: the object of that name, or all below it, and never `data-2` for `data`.
    whole = Remote(SCHEME, bucket, key.rstrip("/"))
    if not (storage.found(config, whole) if whole.key else None) and not _holds(config, whole):
        raise CloudError(f"{place} holds no objects, expected the data under that prefix")


def _holds(config: Config, folder: Remote) -> bool:
    """Whether an object lies below; only as much is listed as it takes to know."""
    prefix = f"{folder.key.rstrip('/')}/".lstrip("/")
    below = clients.bucket_client(config.gcp.project).list_blobs(
        folder.bucket, prefix=prefix, **clients.bounded()
    )
    return any(not blob.name.endswith("/") for blob in below)


@told()
def running(config: Config, wanted: Wanted) -> str:
    """The name of a job in progress that does just this; empty if there is none."""
    for job in customjobs.moving(config):
        same = job.labels.get(DIGEST_LABEL) == wanted.digest and customjobs.is_ours(config, job)
        if same and states.word(job.state) == "InProgress":
            return str(job.display_name)
    return ""


def stage(config: Config, wanted: Wanted, say: Say) -> None:
    """Upload the files that are not there yet."""
    staging.stage(staging.Shelf(storage, config, _root(config)), wanted.bundles, say)


@told(Refused)
def start(config: Config, wanted: Wanted, name: str) -> None:
    """Start the job under this name."""
    spec = wanted.params["job_spec"] | {
        "base_output_directory": {"output_uri_prefix": str(_left(config, name))}
    }
    customjobs.create(config, {**wanted.params, "display_name": name, "job_spec": spec})


@told()
def look(config: Config, name: str) -> TrainingJob:
    """The job as it is now."""
    return _job(config, _there(config, name))


def _there(config: Config, name: str) -> Any:
    job = customjobs.find(config, name)
    if job is None:
        raise CloudError(f"training job {name} is not there: somebody has deleted it")
    return job


def _job(config: Config, job: Any) -> TrainingJob:
    state, name = states.word(job.state), job.display_name
    ran = job.end_time - job.start_time if job.start_time and job.end_time else None
    model = _model(config, name)
    return TrainingJob(
        name=name,
        state=state,
        phase=states.own(job.state),
        created=job.create_time.astimezone(UTC),
        ended=(job.end_time or job.update_time).astimezone(UTC),
        reason=job.error.message,
        model=str(model) if state == "Completed" and _holds(config, model) else "",
        seconds=round(ran.total_seconds()) if ran is not None else None,
    )


@told()
def printed(config: Config, name: str, since: datetime) -> list[Event]:
    """What the job's container printed from `since` on, as far as Cloud Logging has it by now."""
    job = _there(config, name)
    # One that waits for its machine has printed nothing, and reads of the log are few.
    return entries.of_job(config, last(job.name), since) if job.start_time else []


@told()
def stop(config: Config, name: str) -> None:
    """Ask the job to stop; nothing happens to one that has ended or never began."""
    if job := customjobs.find(config, name):
        customjobs.cancel(config, job)


@told()
def newest(config: Config) -> TrainingJob | None:
    """The newest job of this deployment that succeeded and whose model is still there."""
    for job in customjobs.ended_well(config)[:LOOKED_AT]:
        if customjobs.is_ours(config, job) and _holds(config, _model(config, job.display_name)):
            return _job(config, job)
    return None


@told()
def fetch(config: Config, job: TrainingJob, to: Path, say: Say) -> None:
    """Bring the folder of the job's model here, as one archive at `to`."""
    shelf = staging.Shelf(storage, config, _model(config, job.name))
    if not gathering.gather(shelf, to, say):
        raise CloudError(f"training job {job.name} has no model at {shelf.root}: train again")


def traces(config: Config) -> list[Resource]:
    """What `destroy` takes away: the files under our prefix, and jobs in progress, which would add some."""
    root = _root(config)
    there = storage.left(config, root)
    files = [Resource(FILES, root.key, f"{len(there)} objects")] if there else []
    return files + [_in_progress(config, job) for job in customjobs.moving(config)]


def _in_progress(config: Config, job: Any) -> Resource:
    return Resource(JOB, job.display_name, seen=Seen(ours=customjobs.is_ours(config, job)))


def end(config: Config, name: str) -> None:
    """Stop the job and return when it has stopped."""
    stop(config, name)
    while look(config, name).state in states.MOVING:
        time.sleep(1)


def remove(config: Config, left: Resource) -> None:
    """Take away what `traces` found: a job has ended then, and nothing lies under our prefix."""
    if left.kind == JOB:
        end(config, left.name)
    else:
        there = storage.listed(config, _root(config))
        storage.remove(config, [Remote(SCHEME, config.gcp.bucket, found.key) for found in there])
