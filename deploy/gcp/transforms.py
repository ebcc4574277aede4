"""Transform jobs on Vertex AI: batch predictions, in whose results each file gets its own again.

The container gets the records of a file verbatim (`keyed`), several in a request, and answers each with its
line of the result; what the service leaves is put back in order (`gathering`). It always keeps failed records
in their place: a request holds the records of several files, and refused as a whole it would cost them all.
Whether such a record costs its file is decided when the results are gathered.

This follows Google's documents and runs on the local cloud; no job of a real account has been tried yet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.aiplatform_v1 import ModelContainerSpec

from deploy.batch import staging
from deploy.batch.cloud import Job
from deploy.batch.kinds import Kind
from deploy.batch.orders import Order, is_job, job_name, job_number, of_a_run, stem
from deploy.batch.places import BatchError, Place, Remote
from deploy.config import Config
from deploy.gcp import (
    answers,
    batchjobs,
    clients,
    entries,
    gathering,
    inventory,
    keyed,
    states,
    storage,
    terms,
)
from deploy.gcp.clients import told
from deploy.gcp.gathering import Left
from deploy.plan import Resource, Seen
from deploy.sections import Batch
from deploy.target import CloudError, Event

# The kinds of what jobs leave.
FILES, JOB = LEFT = ("batch_files", "transform_job")
RUN_LABEL = "slipway-batch"
# What a container may be sent: as many records as batch_size says, each as large as a payload, or a file.
MAX_BODY_MB = 1024


@dataclass(frozen=True)
class Served:
    """What a job's containers serve: a model's artifact, and its container's spec as the API has it."""

    artifact_uri: str
    container: Mapping[str, Any]


def check_settings(settings: Batch, kind: Kind) -> None:
    """Raise BatchError for settings that Vertex AI does not have."""
    for name in ("input_filter", "output_filter"):
        if getattr(settings, name):
            raise BatchError(
                f"[batch] {name} is SageMaker's, and Vertex AI has none: take it out, and have the handler "
                "read, or answer, what is wanted"
            )


def machines(config: Config, settings: Batch) -> str:
    """What a job runs on."""
    return f"{settings.instance_count} x {_machine(config, settings)['machine_type']}"


def _machine(config: Config, settings: Batch) -> dict[str, Any]:
    return {"machine_type": settings.machine_type} if settings.machine_type else terms.machine(config)


def run_place(config: Config, run: str) -> Remote:
    """Where a run's own objects lie: its staged input, what its jobs leave, results on their way."""
    return inventory.object_place(config, f"{config.name}/batch/{run}/" if run else f"{config.name}/batch/")


def _job_place(config: Config, order: Order, number: int) -> Remote:
    """What is one job's alone."""
    return run_place(config, order.run) / f"job-{number}/"


def _staged(config: Config, order: Order) -> Remote:
    return run_place(config, order.run) / "in/"


def request(config: Config, order: Order, served: Served) -> dict[str, Any]:
    """The BatchPredictionJob that is asked for. Reads nothing."""
    settings, count = order.settings, order.settings.instance_count
    own = _job_place(config, order, order.number)
    # A job of a model takes its container as it is, without variables of the job's own.
    container = {**served.container, "env": _environment(order, served)}
    job = {
        "display_name": job_name(config.name, order.run, order.number),
        "unmanaged_container_model": {"artifact_uri": served.artifact_uri, "container_spec": container},
        **_input(config, order),
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": str(own / "results")},
        },
        "dedicated_resources": {
            "machine_spec": _machine(config, settings),
            "starting_replica_count": count,
            "max_replica_count": count,
        },
        "manual_batch_tuning_parameters": {"batch_size": settings.batch_size if order.kind.by_lines else 1},
        "labels": terms.labels(config) | {RUN_LABEL: order.run},
    }
    account = {"service_account": config.gcp.service_account} if config.gcp.service_account else {}
    return job | account


def _input(config: Config, order: Order) -> dict[str, Any]:
    if not order.kind.by_lines:
        uris = [str(_list(config, order))]
        return {"input_config": {"instances_format": "file-list", "gcs_source": {"uris": uris}}}
    uris = [str(keyed.place_of(_staged(config, order), number)) for number in order.wanted]
    return {
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": uris}},
        "instance_config": {"instance_type": "object", "key_field": keyed.KEY},
    }


def _list(config: Config, order: Order) -> Remote:
    return _job_place(config, order, order.number) / "files.txt"


def _environment(order: Order, served: Served) -> list[dict[str, str]]:
    own = {
        "SLIPWAY_BATCH": "true",
        "SLIPWAY_BATCH_RECORDS": order.kind.content_type,
        "SLIPWAY_BATCH_ACCEPT": order.accept,
        "SLIPWAY_BATCH_ON_ERROR": "keep",
        "SLIPWAY_MAX_BODY_MB": str(MAX_BODY_MB),
    }
    if order.header:
        own["SLIPWAY_BATCH_HEADER"] = order.header
    if order.settings.join == "input":
        own["SLIPWAY_BATCH_JOIN"] = "input"
    given = {entry["name"]: entry["value"] for entry in served.container.get("env", [])}
    return [{"name": name, "value": value} for name, value in (given | own).items()]


@told()
def jobs(config: Config, run: str) -> list[Job]:
    """The jobs that this run has had, the first first. Raises CloudError where one is somebody else's."""
    named = batchjobs.named(config, f'display_name:"{stem(config.name)}-{run}-*"')
    by_number = {job_number(config.name, run, name): job for name, job in named.items()}
    return [batchjobs.ours(config, by_number[number]) for number in sorted(by_number) if number]


@told()
def stage(config: Config, order: Order, origin: Place) -> None:
    """Give lines keys, which takes a copy of each file; a Parquet file stays as it is, and in its bucket."""
    if order.kind.by_lines:
        keyed.stage(config, order, origin, _staged(config, order))
    else:
        staging.copy(storage, config, order, origin)


@told()
def start(config: Config, order: Order) -> Job:
    """Start the job of this number on these files, or join the one that somebody else has started."""
    asked = request(config, order, _served(config, order))
    if not order.kind.by_lines:
        uris = [str(order.source / file.name) for file in order.wanted.values()]
        storage.put(config, _list(config, order), "".join(f"{uri}\n" for uri in uris).encode())
    return batchjobs.ours(config, batchjobs.create(config, asked))


def _served(config: Config, order: Order) -> Served:
    name = inventory.model_name(config, order.model)
    try:
        model = clients.models(config.gcp.region).get_model(name=name, retry=clients.READ)
    except NotFound as error:
        raise CloudError(
            f"{str(error.message).rstrip('.')}: it was there a moment ago; give the same command again"
        ) from error
    container = ModelContainerSpec.to_dict(model.container_spec, always_print_fields_with_no_presence=False)
    return Served(model.artifact_uri, container)


@told()
def look(config: Config, job: Job) -> Job:
    """The job as it is now."""
    return batchjobs.told(batchjobs.described(config, job.id))


@told()
def stop(config: Config, job: Job) -> None:
    """Ask the job to stop; one that has ended already stays as it is."""
    batchjobs.cancel(config, job.id)


@told()
def gather(config: Config, order: Order, job: Job) -> None:
    """Put what the job has left into the order of its files; once, and again only where that was cut off."""
    done = _gathered(config, order, job)
    if not order.names or storage.found(config, done):
        return
    described = batchjobs.described(config, job.id)
    objects = _left(config, order, described)
    if objects:
        said = [failure.message for failure in described.partial_failures]
        why = gathering.gather(config, order, Left(objects, said))
        storage.put(config, done, json.dumps(why).encode())


def _gathered(config: Config, order: Order, job: Job) -> Remote:
    """An object that says why files have no result, and that the others have theirs."""
    number = job_number(config.name, order.run, job.name)
    return _job_place(config, order, number) / "gathered.json"


def _left(config: Config, order: Order, described: Any) -> list[Remote]:
    """The objects of results, then those of errors, in the folder that the service made for the job."""
    folder = described.output_info.gcs_output_directory.removeprefix("gs://").partition("/")[2]
    number = job_number(config.name, order.run, described.display_name)
    place = _job_place(config, order, number) / "results"
    keys = [one.key for one in storage.listed(config, place) if one.key.startswith(folder)]
    told = [[key for key in keys if kind.fullmatch(key.rpartition("/")[2])] for kind in answers.FILES]
    return [Remote(place.scheme, place.bucket, key) for kind in told for key in kind]


@told()
def printed(config: Config, order: Order, job: Job) -> tuple[dict[str, str], list[Event]]:
    """Why files have no result, as gathering found it, and what the job's containers printed."""
    place, why = _gathered(config, order, job), dict[str, str]()
    if storage.found(config, place):
        with storage.opened(config, place) as stream:
            why = json.loads(b"".join(iter(lambda: stream.read(2**20), b"")))
    return why, entries.of_job(config, job.id.rpartition("/")[2], job.created)


def traces(config: Config) -> list[Resource]:
    """What `destroy` takes away: the runs' own objects, and jobs under way, which would make more."""
    there = _own_objects(config)
    files = [Resource(FILES, f"{config.name}/batch/", f"{len(there)} objects")] if there else []
    moving = batchjobs.named(config, f'{states.UNENDED} AND display_name:"{stem(config.name)}-*"')
    named = [job for name, job in moving.items() if is_job(config.name, name) and batchjobs.told(job).moving]
    return files + [
        Resource(JOB, job.display_name, seen=Seen(ours=batchjobs.is_ours(config, job))) for job in named
    ]


def _own_objects(config: Config) -> list[Remote]:
    place = run_place(config, "")
    keys = [one.key for one in storage.left(config, place) if of_a_run(config.name, one.key)]
    return [Remote(place.scheme, place.bucket, key) for key in keys]


def end(config: Config, name: str) -> None:
    """Stop the job of this name and return when it has stopped."""
    if job := batchjobs.called(config, name):
        batchjobs.cancel(config, job.name)
        while batchjobs.told(batchjobs.described(config, job.name)).moving:
            time.sleep(1)


def remove(config: Config, left: Resource) -> None:
    """Take away what `traces` found: a job has ended then, and the runs have nothing of their own."""
    if left.kind == JOB:
        end(config, left.name)
    else:
        storage.remove(config, _own_objects(config))
