"""A local cloud of our own with small limits and short times, and what a test needs to deploy on it."""

import io
import itertools
import json
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import daemon
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from roles import make_role
from waiting import until

ROOT = Path(__file__).parents[4]
ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/standin:1"
KIT_IMAGE = f"{REGISTRY}/slipway-serving:1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
BUCKET = "models-of-the-tests"
SETTINGS = {
    "PORT": "0",
    "IMAGES": json.dumps(
        {
            f"{REGISTRY}/standin": [sys.executable, str(Path(__file__).with_name("standin.py"))],
            f"{REGISTRY}/batchbox": [sys.executable, str(Path(__file__).parent / "transforms/batchbox.py")],
        }
    ),
    "STARTUP_HEALTH_S": "8",
    "PING_TIMEOUT_S": "0.5",
    "PING_INTERVAL_S": "0.1",
    "INVOCATION_TIMEOUT_S": "3",
    "STREAM_TIMEOUT_S": "3",
    "STOP_GRACE_S": "2",
    "CREATING_S": "0.1",
    "UPDATING_S": "0.1",
    "PAYLOAD_BYTES": "100000",
    "TRAINING_STOP_GRACE_S": "3",
    "CHECKPOINT_INTERVAL_S": "0.1",
    "TRANSFORM_STARTUP_S": "8",
    "TIME_SCALE": "0.01",
    "SERVERLESS_PAYLOAD_BYTES": "50000",
    "SERVERLESS_STARTUP_S": "2",
    "SERVERLESS_IDLE_S": "0.5",
    "ASYNC_PAYLOAD_BYTES": "200000",
}
_numbers = itertools.count()


@dataclass
class LocalCloud:
    """A running local cloud, and clients to it."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    clients: dict[str, Any] = field(default_factory=dict)
    bucket: str = BUCKET
    image: str = IMAGE
    kit_image: str = KIT_IMAGE
    role: str = ROLE

    def client(self, service: str, region: str = "us-east-1", checks: bool = True) -> Any:
        """A boto3 client; `checks=False`: one that leaves every check to the service.

        Of a session of its own: the default one would keep for later tests the profiles it has read by now.
        """
        key = f"{service} {region} {checks}"
        if key not in self.clients:
            self.clients[key] = boto3.Session().client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(
                    retries={"total_max_attempts": 1}, max_pool_connections=32, parameter_validation=checks
                ),
            )
        return self.clients[key]

    @property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    def name(self, word: str = "it") -> str:
        return f"{word}-{next(_numbers)}"

    def model(self, environment: dict[str, str] | None = None, **given: Any) -> str:
        """Makes a model of the stand-in image and returns its name."""
        name = given.pop("name", self.name("model"))
        container = {
            "Image": IMAGE,
            "ModelDataUrl": self.archive(),
            "Environment": environment or {},
            **given,
        }
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def config(self, *models: str, **given: Any) -> str:
        """Makes a configuration with a variant for each model (A, B …) and returns its name."""
        name = self.name("config")
        variants = [{**self.variant(model, "AB"[number]), **given} for number, model in enumerate(models)]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        return name

    def variant(self, model: str, name: str = "A") -> dict[str, Any]:
        """A production variant on one instance."""
        size = {"InstanceType": "ml.m7i.large", "InitialInstanceCount": 1}
        return {"VariantName": name, "ModelName": model, **size}

    def archive(self, data: bytes | None = None, key: str = "plain/model.tar.gz") -> str:
        """Puts an archive into the bucket and returns its URL."""
        body = packed() if data is None else data
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def packed(self, **files: str) -> bytes:
        """A model.tar.gz of these files."""
        return packed(**files)

    def make_role(self, name: str, service: str) -> str:
        """Makes a role that trusts the service and returns its ARN."""
        return make_role(self.client("iam"), name, service)

    def until(self, answer: Callable[[], Any], seconds: float = 20) -> Any:
        """The first true answer; fails after that many seconds."""
        return until(answer, seconds)

    def endpoint(self, config: str, wait: bool = True) -> str:
        """Makes an endpoint and returns its name, when it serves."""
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        if wait:
            self.settled(name, "InService")
        return name

    def served(self, **environment: str) -> str:
        """An endpoint with one stand-in container in service."""
        return self.endpoint(self.config(self.model(environment)))

    def settled(self, name: str, status: str) -> dict[str, Any]:
        """DescribeEndpoint's answer once the endpoint is at rest, which must be in that state."""
        described = until(lambda: self._at_rest(name))
        assert described["EndpointStatus"] == status, described
        return described

    def _at_rest(self, name: str) -> dict[str, Any] | None:
        described = self.sagemaker.describe_endpoint(EndpointName=name)
        moving = {"Creating", "Updating", "RollingBack", "Deleting"}
        return None if described["EndpointStatus"] in moving else described

    def invoke(self, name: str, body: Any = None, **given: Any) -> dict[str, Any]:
        """What the stand-in container saw of the request."""
        payload = json.dumps(body if body is not None else {})
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=payload, **given)
        seen = json.loads(answer["Body"].read())
        return {**seen, "answer": answer} if isinstance(seen, dict) else {"said": seen, "answer": answer}

    @contextmanager
    def traffic(self, name: str, pause: float = 0.01) -> Iterator[None]:
        """Invokes the endpoint all the while, whatever it answers, with that many seconds between two."""
        stop = threading.Event()

        def call() -> None:
            while not stop.wait(pause):
                with suppress(ClientError):
                    self.invoke(name)

        caller = threading.Thread(target=call)
        caller.start()
        try:
            yield
        finally:
            stop.set()
            caller.join()

    def log_of(self, endpoint: str) -> str:
        """All that the endpoint's containers said; "" before the first line."""
        logs = self.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
        except logs.exceptions.ResourceNotFoundException:
            return ""
        return "\n".join(event["message"] for event in events["events"])


def packed(**files: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in (files or {"weights.txt": "1 2 3"}).items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    home = tmp_path_factory.mktemp("local-cloud")
    with daemon.running(home, SETTINGS) as (url, process):
        made = LocalCloud(url, home, process)
        made.client("s3").create_bucket(Bucket=BUCKET)
        made.make_role("execution", "sagemaker.amazonaws.com")
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    for client in made.clients.values():
        client.close()
    assert process.returncode == 0
    assert list(home.glob("containers/*")) == [], "a container outlived the local cloud"


@pytest.fixture(autouse=True, scope="module")
def _endpoints_end_with_their_module(cloud: LocalCloud) -> Iterator[None]:
    """A container that nobody needs any more is still pinged ten times a second."""
    yield
    for page in cloud.sagemaker.get_paginator("list_endpoints").paginate():
        for endpoint in page["Endpoints"]:
            with suppress(ClientError):  # it is going already
                cloud.sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])
