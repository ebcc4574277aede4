"""Training pipelines: a custom job, and a model uploaded of what it leaves.

Source: cloud.google.com/vertex-ai/docs/training/create-training-pipeline, and the message TrainingPipeline
"""

from __future__ import annotations

from infra.local.vertex import models as registry
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.errors import CODES, GoogleError, invalid
from infra.local.vertex.jobs import customs
from infra.local.vertex.jobs.book import Book, Kind, Run
from infra.local.vertex.jobs.customs import Customs
from infra.local.vertex.messages import checked
from infra.local.vertex.models import Models
from infra.local.vertex.names import Place

KIND = Kind("trainingPipelines", "TrainingPipeline", "PIPELINE_STATE_")
TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
OUTPUTS = ("state", "error", "name", "startTime", "endTime", "trainingTaskMetadata")
STATUSES = {code: status for status, (code, _) in CODES.items()}


class Pipelines:
    """The operations on training pipelines."""

    def __init__(self, vertex: Vertex, models: Models, jobs: Customs) -> None:
        self.book = Book(vertex, KIND)
        self._models, self._jobs = models, jobs

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (Route("POST", KIND.collection, self.create), *self.book.routes)

    def create(self, call: Call) -> Json:
        """CreateTrainingPipeline."""
        given = checked("TrainingPipeline", call.body)
        pipeline = {key: value for key, value in given.items() if key not in OUTPUTS}
        if not pipeline.get("displayName"):
            raise invalid("display_name is required.", "training_pipeline.display_name")
        if pipeline.get("trainingTaskDefinition") != TASK:
            raise GoogleError("UNIMPLEMENTED", f"The local Vertex AI has one training task: {TASK}")
        if pipeline.get("inputDataConfig"):
            raise GoogleError(
                "UNIMPLEMENTED", "The local Vertex AI has no datasets: give the job gs:// URIs."
            )
        spec = checked("CustomJobSpec", pipeline.get("trainingTaskInputs", {}))
        customs.check(spec)
        upload = _upload_of(pipeline, spec, call.place)
        return self.book.begin(call.place, pipeline, lambda run: self._work(run, call.place, spec, upload))

    def _work(self, run: Run, place: Place, spec: Json, upload: Json | None) -> None:
        display = self.book.find(run.name)["displayName"]
        job = self._jobs.begin(place, {"displayName": f"{display}-custom-job", "jobSpec": spec})["name"]
        run.note(trainingTaskMetadata={"backingCustomJob": job})
        run.on_cancel(lambda: self._jobs.book.ask_to_end(job))
        done = self._jobs.book.wait(job)
        if "error" in done:
            raise GoogleError(STATUSES.get(done["error"]["code"], "INTERNAL"), done["error"]["message"])
        if upload is not None:
            run.check()
            made = self._models.create(place, upload)
            run.note(modelToUpload=self._models.find(f"{made['model']}@{made['modelVersionId']}"))


def _upload_of(pipeline: Json, spec: Json, place: Place) -> Json | None:
    """The UploadModelRequest of the job's model, None where no model is wanted. Raises GoogleError."""
    if "modelToUpload" not in pipeline:
        return None
    base = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    if not base:
        raise invalid("A model needs base_output_directory.", "training_task_inputs.base_output_directory")
    also = {key: pipeline[key] for key in ("modelId", "parentModel") if key in pipeline}
    model = {**pipeline["modelToUpload"], "artifactUri": f"{base}/model"}
    request = checked("UploadModelRequest", {"parent": place.name, "model": model, **also})
    registry.check(request, place)
    return request
