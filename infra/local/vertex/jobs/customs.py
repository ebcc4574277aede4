"""Custom jobs: a container's command as a process, with what Vertex AI tells a training container.

Source: cloud.google.com/vertex-ai/docs/training/code-requirements, and the message CustomJob
"""

from __future__ import annotations

from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.jobs import gcs
from infra.local.vertex.jobs.book import Book, Kind, Run
from infra.local.vertex.jobs.replicas import Replica, ReplicaSpec
from infra.local.vertex.messages import checked
from infra.local.vertex.names import Place

KIND = Kind("customJobs", "CustomJob")
OUTPUTS = ("state", "error", "name", "startTime", "endTime", "webAccessUris")
LONGEST_S = 7 * 24 * 3600.0  # Source: Scheduling.timeout
NO_PACKAGES = (
    "The local Vertex AI does not run pythonPackageSpec, whose image installs the package by itself: "
    "give a containerSpec with the image and the command."
)
NO_COMMAND = (
    "The local Vertex AI runs a container's command as a process and has no image to take it from: "
    "give containerSpec.command."
)
ONE_MACHINE = "The local Vertex AI runs a job on one machine: give one worker pool with one replica."


class Customs:
    """The operations on custom jobs; `begin` is for what has one behind it."""

    def __init__(self, vertex: Vertex) -> None:
        self.book = Book(vertex, KIND)
        self._vertex = vertex

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (Route("POST", KIND.collection, self.create), *self.book.routes)

    def create(self, call: Call) -> Json:
        """CreateCustomJob."""
        job = checked("CustomJob", call.body)
        return self.begin(call.place, {key: value for key, value in job.items() if key not in OUTPUTS})

    def begin(self, place: Place, job: Json) -> Json:
        """Starts a job, given as a checked CustomJob, and returns it. Raises GoogleError."""
        if not job.get("displayName"):
            raise invalid("display_name is required.", "custom_job.display_name")
        check(job.get("jobSpec", {}))
        return self.book.begin(place, job, lambda run: self._work(run, place, job["jobSpec"]))

    def _work(self, run: Run, place: Place, spec: Json) -> None:
        number = run.name.rpartition("/")[2]
        container = spec["workerPoolSpecs"][0]["containerSpec"]
        base = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
        wanted = ReplicaSpec(number, place.project, container, base)
        replica = Replica(self._vertex, wanted, self._vertex.logs.open(run.name, job_id=number))
        run.on_cancel(replica.stop)
        timeout = spec.get("scheduling", {}).get("timeout", "")
        replica.run(float(timeout.removesuffix("s")) if timeout else LONGEST_S)


def check(spec: Json) -> None:
    """What a CustomJobSpec must have, and what is not done here. Raises GoogleError."""
    pools = spec.get("workerPoolSpecs", [])
    if not pools:
        raise invalid("worker_pool_specs is required.", "job_spec.worker_pool_specs")
    if "pythonPackageSpec" in pools[0]:
        raise GoogleError("UNIMPLEMENTED", NO_PACKAGES)
    if len([pool for pool in pools if pool]) > 1 or int(pools[0].get("replicaCount", 1)) > 1:
        raise GoogleError("UNIMPLEMENTED", ONE_MACHINE)
    container = pools[0].get("containerSpec", {})
    if not container.get("imageUri"):
        raise invalid("container_spec.image_uri is required.", "worker_pool_specs.container_spec.image_uri")
    if not container.get("command"):
        raise GoogleError("UNIMPLEMENTED", NO_COMMAND)
    if "baseOutputDirectory" in spec:
        gcs.split(spec["baseOutputDirectory"].get("outputUriPrefix", ""), "job_spec.base_output_directory")
