"""Every way to an answer: both clouds' endpoints and jobs, and a job on this machine. Bytes in, bytes out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import orjson
from clouds.aws import Aws
from clouds.gcp import REGION, Gcp
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from subjects import CSV, HEADED, JSON_LINES, PARQUET

from deploy.__main__ import main

NAMES = {JSON_LINES: "a.jsonl", CSV: "a.csv", HEADED: "a.csv", PARQUET: "a.parquet"}


@dataclass
class Deployed:
    """A project on an endpoint of SageMaker's, and on Vertex AI's two kinds of endpoint."""

    project: Path
    aws: Aws
    gcp: Gcp

    @property
    def shared(self) -> Path:
        """The same project, whose endpoint on Vertex AI is a shared one."""
        return self.project.with_name(f"{self.project.name}-shared")

    def sagemaker(self, body: bytes, content_type: str) -> bytes:
        """InvokeEndpoint, by boto3."""
        answer = self.aws.local.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.project.name, Body=body, ContentType=content_type
        )
        return bytes(answer["Body"].read())

    def vertex_raw(self, body: bytes, content_type: str) -> bytes:
        """rawPredict on the dedicated endpoint, by the SDK."""
        endpoint = aiplatform.Endpoint(self.project.name)
        answer = endpoint.raw_predict(body, {"Content-Type": content_type})
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    def vertex_shared_raw(self, body: bytes, content_type: str) -> bytes:
        """rawPredict on the shared endpoint, by hand.

        The SDK's raw_predict asks a shared endpoint at googleapis.com, whatever address it was given, and the
        API's own client sends the bytes as JSON when it speaks REST.
        """
        return self.gcp.raw(self.shared.name, body, content_type).content

    def vertex_predict(self, body: bytes, content_type: str) -> bytes:
        """predict on the dedicated endpoint, by the SDK."""
        return predicted(self.project.name, body)

    def vertex_shared_predict(self, body: bytes, content_type: str) -> bytes:
        """predict on the shared endpoint, by the SDK."""
        return predicted(self.shared.name, body)

    def sagemaker_job(self, body: bytes, content_type: str) -> bytes:
        """A batch transform job."""
        return self._scored("aws", body, content_type, "--cloud", "aws")

    def vertex_job(self, body: bytes, content_type: str) -> bytes:
        """A batch prediction job."""
        return self._scored("gcp", body, content_type, "--cloud", "gcp")

    def job_here(self, body: bytes, content_type: str) -> bytes:
        """A job on this machine."""
        return self._scored("here", body, content_type, "--engine", "local")

    def _scored(self, where: str, body: bytes, content_type: str, *options: str) -> bytes:
        digest = hashlib.sha256(content_type.encode() + body).hexdigest()[:12]
        source = self.project.parent / "in" / digest / NAMES[content_type]
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(body)
        output = self.project.parent / "out" / where / digest
        header = ["--header", "strip"] if content_type == HEADED else []
        places = ["--input", str(source), "--output", str(output)]
        assert main(["batch-transform", "--project", str(self.project), *places, *header, *options]) == 0
        return (output / f"{source.name}.out").read_bytes()


def predicted(name: str, body: bytes) -> bytes:
    """The SDK's predictions, as the body that they came of. It knows from the endpoint where to ask."""
    instances = json.loads(body)["instances"]
    return orjson.dumps({"predictions": aiplatform.Endpoint(name).predict(instances=instances).predictions})


def initialized(url: str) -> None:
    """Point the SDK at the local cloud."""
    aiplatform.init(
        project="slipway-tests",
        location=REGION,
        credentials=AnonymousCredentials(),
        api_endpoint=url,
        api_transport="rest",
    )
