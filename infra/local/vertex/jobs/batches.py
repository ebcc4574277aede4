"""Batch prediction: a container of the model answers every instance of the input, some at a time.

Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions, and the message BatchPredictionJob
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.containers import Container, ServingSpec
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.images import check_image
from infra.local.vertex.jobs import gcs, instances, scoring
from infra.local.vertex.jobs.book import Book, Kind, Run
from infra.local.vertex.messages import checked
from infra.local.vertex.models import Models

KIND = Kind("batchPredictionJobs", "BatchPredictionJob")
BATCH_SIZE = 64
PARTIAL_FAILURES = 20
OUTPUTS = ("outputInfo", "completionStats", "partialFailures", "state", "error", "modelVersionId", "name")


class Batches:
    """The operations on batch prediction jobs."""

    def __init__(self, vertex: Vertex, models: Models) -> None:
        self.book = Book(vertex, KIND)
        self._vertex, self._models = vertex, models

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (Route("POST", KIND.collection, self.create), *self.book.routes)

    def create(self, call: Call) -> Json:
        """CreateBatchPredictionJob."""
        job = checked("BatchPredictionJob", call.body)
        job = {key: value for key, value in job.items() if key not in OUTPUTS}
        check(job)
        model = self._model(job, call.place.location)
        version = {"modelVersionId": model["versionId"]} if "versionId" in model else {}
        return self.book.begin(call.place, {**job, **version}, lambda run: self._work(run, job, model))

    def _model(self, job: Json, location: str) -> Json:
        """What is served: a model's version, or a model that the job alone describes."""
        if "model" in job:
            return self._models.find(job["model"])
        unmanaged: Json = job["unmanagedContainerModel"]
        field = "unmanaged_container_model.container_spec.image_uri"
        check_image(unmanaged.get("containerSpec", {}).get("imageUri", ""), location, field)
        return {**unmanaged, "displayName": job["displayName"]}

    def _work(self, run: Run, job: Json, model: Json) -> None:
        bucket, folder = _output_folder(job, model["displayName"])
        self._vertex.storage.list(bucket, folder)  # no bucket is an error before anything runs
        if "artifactUri" in model:
            gcs.split(model["artifactUri"], "artifact_uri")
        found = list(instances.read(self._vertex.storage, job))
        run.check()
        container = self._container(run, job, model)
        run.on_cancel(container.stop)
        try:
            container.start()
            result = scoring.score(container, found, _order(self._vertex, job, run))
        finally:
            container.stop()
        run.check()
        run.note(outputInfo={"gcsOutputDirectory": f"gs://{bucket}/{folder}"}, **_counted(result))
        for name, lines in scoring.files(result).items():
            self._vertex.storage.put(bucket, f"{folder}/{name}", "".join(lines).encode())
        if result.failures and not any(result.shards):
            raise GoogleError("INVALID_ARGUMENT", f"Failed to run inference job: {result.failures[0].reason}")

    def _container(self, run: Run, job: Json, model: Json) -> Container:
        number, name = run.name.split("/")[1], model.get("name", "").rpartition("/")[2]
        machine = job.get("dedicatedResources", {}).get("machineSpec", {})
        identity = {
            "AIP_PROJECT_NUMBER": number,
            "AIP_MODEL_NAME": name,
            "AIP_VERSION_NAME": model.get("versionId", ""),
            "AIP_MACHINE_TYPE": machine.get("machineType", ""),
            "AIP_ACCELERATOR_TYPE": machine.get("acceleratorType", ""),
        }
        route = f"/v1/models/{name or 'unmanaged'}"
        spec = ServingSpec(model["containerSpec"], model.get("artifactUri", ""), route, identity)
        log = self._vertex.logs.open(run.name, job_id=run.name.rpartition("/")[2])
        return Container(self._vertex.settings, self._vertex.url, spec, log)


def check(job: Json) -> None:
    """What a job must have beyond its fields' types. Raises GoogleError."""
    if not job.get("displayName"):
        raise invalid("display_name is required.", "batch_prediction_job.display_name")
    if ("model" in job) == ("unmanagedContainerModel" in job):
        raise invalid("Exactly one of model and unmanaged_container_model must be set.", "model")
    source, destination = job.get("inputConfig", {}), job.get("outputConfig", {})
    if "gcsSource" not in source or "gcsDestination" not in destination:
        text = "The local Vertex AI reads and writes Cloud Storage: set gcs_source and gcs_destination."
        raise GoogleError("UNIMPLEMENTED", text)
    if source.get("instancesFormat") not in instances.FORMATS:
        known = ", ".join(instances.FORMATS)
        raise invalid(f"instances_format must be one of {known}.", "input_config.instances_format")
    if destination.get("predictionsFormat") != "jsonl":
        raise invalid("predictions_format must be jsonl.", "output_config.predictions_format")
    if job.get("generateExplanation"):
        raise GoogleError("UNIMPLEMENTED", "The local Vertex AI has no explanations.")
    for uri in source["gcsSource"].get("uris", []) or [""]:
        gcs.split(uri, "input_config.gcs_source.uris")
    gcs.split(destination["gcsDestination"].get("outputUriPrefix", ""), "output_config.gcs_destination")
    instances.check_config(job.get("instanceConfig", {}), source["instancesFormat"])


def _output_folder(job: Json, model: str) -> tuple[str, str]:
    """prediction-<model>-<time>, a new folder below the prefix; without a slash at its end."""
    destination = job["outputConfig"]["gcsDestination"]["outputUriPrefix"]
    bucket, prefix = gcs.split(destination, "output_config.gcs_destination")
    made = datetime.now(UTC).strftime("%Y_%m_%dT%H_%M_%S_%f")[:-3]
    return bucket, "/".join(filter(None, [prefix.strip("/"), f"prediction-{model}-{made}Z"]))


def _order(vertex: Vertex, job: Json, run: Run) -> scoring.Order:
    tuned = job.get("manualBatchTuningParameters", {}).get("batchSize", BATCH_SIZE)
    return scoring.Order(
        # Without a machine of its own, the service tunes the size itself.
        batch_size=tuned if "dedicatedResources" in job else BATCH_SIZE,
        parameters=json.dumps(job["modelParameters"]) if "modelParameters" in job else "",
        timeout_s=vertex.settings.dedicated_timeout_s,
        cancelled=run.cancelled,
    )


def _counted(result: scoring.Result) -> Json:
    """completionStats, and the first of the failures."""
    failed = sum(failure.count for failure in result.failures)
    stats = {"successfulCount": str(sum(map(len, result.shards))), "failedCount": str(failed)}
    partial = [{"code": 3, "message": failure.reason} for failure in result.failures[:PARTIAL_FAILURES]]
    return {"completionStats": stats, **({"partialFailures": partial} if partial else {})}
