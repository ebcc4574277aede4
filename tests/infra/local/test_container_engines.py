"""CONTAINERS=podman: the local cloud's containers are containers of a real image, under the same contract."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import daemon
import images
import pytest
from roles import make_role
from waiting import until

from infra.local.engines.images import LABEL

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/slipway-serving:podman"
KIT_IMAGE = f"{REGISTRY}/slipway-serving:1"  # which the tests' projects name
ROLE = "arn:aws:iam::123456789012:role/execution"
BUCKET = "models-of-the-tests"
SETTINGS = {
    "PORT": "0",
    "CONTAINERS": "podman",
    "STARTUP_HEALTH_S": "40",
    "STOP_GRACE_S": "5",
    "PING_INTERVAL_S": "0.5",
}
HANDLER = """
import json, os, pathlib
class Handler:
    def load(self, model_dir):
        self.place = model_dir
        self.factor = json.loads(pathlib.Path(model_dir, "weights.json").read_text())
    def predict(self, instances):
        if instances[0] == "seen":
            ours = ("AWS_", "GIVEN", "SLIPWAY_LOCAL", "SAGEMAKER")
            given = {name: value for name, value in os.environ.items() if name.startswith(ours)}
            return [{"place": str(self.place), "environment": given, "home": os.path.exists("/work")}]
        return [self.factor * one for one in instances]
"""
# The first test to need it waits for the image to be built.
pytestmark = pytest.mark.timeout(400)
_numbers = itertools.count()


@dataclass
class Podman:
    """A local cloud that runs containers of the image."""

    url: str
    home: Path
    process: "subprocess.Popen[bytes]"

    def client(self, service: str) -> Any:
        where = {"endpoint_url": self.url, "region_name": "us-east-1"}
        return boto3.Session().client(
            service, **where, aws_access_key_id="local", aws_secret_access_key="local"
        )

    def containers(self) -> list[str]:
        """The names of this local cloud's containers."""
        return containers_of(self.home)

    def model(self, name: str, packed: bytes, environment: dict[str, str], image: str = IMAGE) -> None:
        """Makes a model of the archive."""
        self.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/model.tar.gz", Body=packed)
        container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{name}/model.tar.gz"}
        self.client("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={**container, "Environment": environment}
        )

    def endpoint(self, packed: bytes, environment: dict[str, str], image: str = IMAGE) -> str:
        """Makes an endpoint and returns its name, once it is at rest."""
        name, sagemaker = f"it-{next(_numbers)}", self.client("sagemaker")
        self.model(name, packed, environment, image)
        variant = {"VariantName": "A", "ModelName": name, "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InstanceType": "ml.m7i.large"}]
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        until(lambda: self.described(name)["EndpointStatus"] != "Creating", 60)
        return name

    def trained(self, name: str, algorithm: dict[str, Any], **given: Any) -> dict[str, Any]:
        """Runs a training job to its end."""
        sagemaker = self.client("sagemaker")
        sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=ROLE,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File", **algorithm},
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/{name}/"},
            ResourceConfig={"InstanceType": "ml.m7i.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 300},
            **given,
        )

        def ended() -> Any:
            described = sagemaker.describe_training_job(TrainingJobName=name)
            return described if described["TrainingJobStatus"] != "InProgress" else None

        return until(ended, 60)

    def described(self, name: str) -> dict[str, Any]:
        return self.client("sagemaker").describe_endpoint(EndpointName=name)

    def invoke(self, name: str, body: Any) -> Any:
        runtime = self.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName=name, Body=json.dumps(body), ContentType="application/json"
        )
        return json.loads(answer["Body"].read())

    def log_of(self, name: str) -> str:
        events = self.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
        return "\n".join(event["message"] for event in events["events"])


def containers_of(home: Path) -> list[str]:
    """The names of that local cloud's containers, running or not."""
    words = ("ps", "--all", "--format", "{{.Names}}", "--filter", f"label={LABEL}={home}")
    return images.run("podman", *words).stdout.split()


def packed(handler: str = HANDLER) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in {
            "weights.json": "3",
            "code/handler.py": handler,
            "code/samples.jsonl": "1\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.fixture(scope="module")
def cloud(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    images.run("podman", "tag", image, IMAGE)
    home = tmp_path_factory.mktemp("local-cloud")
    with daemon.running(home, SETTINGS) as (url, process):
        made = Podman(url, home, process)
        made.client("s3").create_bucket(Bucket=BUCKET)
        make_role(made.client("iam"), "execution")
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    assert process.returncode == 0
    assert made.containers() == [], "a container outlived the local cloud"
    images.run("podman", "untag", image, IMAGE)


def test_an_endpoint_is_a_container_with_the_literal_paths_and_nothing_of_this_machine(cloud):
    given = {"GIVEN": " with = and 'blanks' ", "GIVEN_LINES": "one\ntwo", "GIVEN_EMPTY": ""}
    name = cloud.endpoint(packed(), given)
    assert cloud.described(name)["EndpointStatus"] == "InService", cloud.log_of(name)
    (seen,) = cloud.invoke(name, ["seen"])
    assert seen == {
        "place": "/opt/ml/model",
        "environment": {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **given},
        "home": False,
    }
    (container,) = cloud.containers()
    asked = json.loads(images.run("podman", "inspect", container).stdout)[0]
    (mount,) = asked["Mounts"]
    assert (mount["Destination"], mount["RW"]) == ("/opt/ml/model", False)
    (port,) = asked["HostConfig"]["PortBindings"]["8080/tcp"]
    assert port["HostIp"] == "127.0.0.1"
    cloud.client("sagemaker").delete_endpoint(EndpointName=name)
    until(lambda: not cloud.containers(), 30)


def test_row_5_a_handler_that_breaks_fails_the_endpoint_with_its_traceback_in_the_log(cloud):
    name = cloud.endpoint(packed("import no_such_module\n"), {})
    described = cloud.described(name)
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert "No module named 'no_such_module'" in cloud.log_of(name)
    assert cloud.containers() == []


def test_an_image_that_podman_has_not_fails_the_endpoint_as_sagemaker_does(cloud):
    described = cloud.described(cloud.endpoint(packed(), {}, f"{REGISTRY}/slipway-serving:gone"))
    assert described["EndpointStatus"] == "Failed"
    assert "make sure all images included in the model" in described["FailureReason"]
    assert "podman has no image" in described["FailureReason"]


def test_a_container_that_dies_is_started_again(cloud):
    name = cloud.endpoint(packed(), {})
    (before,) = cloud.containers()
    images.run("podman", "kill", before)
    until(lambda: cloud.containers() not in ([], [before]), 30)
    until(lambda: answers(cloud, name), 30)
    cloud.client("sagemaker").delete_endpoint(EndpointName=name)
    until(lambda: not cloud.containers(), 30)


def answers(cloud, name):
    try:
        return cloud.invoke(name, [2]) == [6]
    except cloud.client("sagemaker-runtime").exceptions.ClientError:
        return False


SCRIPT = """
import json, os, pathlib, sys
print("loss=0.25")
pathlib.Path("/opt/ml/model/made.json").write_text(json.dumps([sys.argv[1:], os.environ["SM_MODEL_DIR"]]))
"""


def test_a_training_job_is_a_container_that_writes_to_the_literal_opt_ml(cloud):
    s3, name = cloud.client("s3"), f"train-{next(_numbers)}"
    launcher = (images.ROOT / "training/launch.py").read_text()
    for file, text in {"train.py": SCRIPT, "launch.py": launcher}.items():
        s3.put_object(Bucket=BUCKET, Key=f"{name}/code/{file}", Body=text.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/code/"}
    described = cloud.trained(
        name,
        {
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/launch.py"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        HyperParameters={"epochs": "3"},
        InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
    )
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    assert described["FinalMetricDataList"][0]["Value"] == 0.25
    key = described["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        made = tar.extractfile("made.json")
        assert made is not None
        assert json.loads(made.read()) == [["--epochs", "3"], "/opt/ml/model"]
    assert cloud.containers() == []


def test_without_an_entry_point_of_its_own_a_job_s_image_is_given_the_word_train(cloud):
    """It has no channel `code`, which the image's own entry point says."""
    described = cloud.trained(f"train-{next(_numbers)}", {})
    assert described["FailureReason"].endswith("exit code: 2")
    events = cloud.client("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs")["events"]
    assert [one for one in events if "launch.py is not there" in one["message"]]


def test_a_job_s_image_that_is_not_there_fails_it(cloud):
    described = cloud.trained(f"train-{next(_numbers)}", {"TrainingImage": f"{REGISTRY}/training:gone"})
    assert described["FailureReason"].startswith("ClientError: Cannot pull algorithm container.")


def test_a_transform_job_s_containers_are_the_image_s_too(cloud):
    name, sagemaker, s3 = f"it-{next(_numbers)}", cloud.client("sagemaker"), cloud.client("s3")
    cloud.model(name, packed(), {})
    s3.put_object(Bucket=BUCKET, Key=f"{name}/in/rows.jsonl", Body=b"1\n2\n")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/in/"}}
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={"DataSource": source, "ContentType": "application/jsonlines", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{name}/out/", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m7i.large", "InstanceCount": 1},
    )
    described: dict[str, Any] = {}

    def ended() -> bool:
        described.update(sagemaker.describe_transform_job(TransformJobName=name))
        return described["TransformJobStatus"] != "InProgress"

    until(ended, 60)
    assert described["TransformJobStatus"] == "Completed", described
    body = s3.get_object(Bucket=BUCKET, Key=f"{name}/out/rows.jsonl.out")["Body"].read()
    assert body.split() == [b"3", b"6"]
    until(lambda: not cloud.containers(), 30)


def test_the_verbs_need_not_know_what_runs_the_containers(image, start_cloud, project):
    """From deploy to destroy, with the image that deploy.toml names."""
    images.run("podman", "tag", image, KIT_IMAGE)
    local, place = start_cloud(SLIPWAY_LOCAL_CONTAINERS="podman"), str(project())

    def verb(*words: str) -> str:
        done = images.run(sys.executable, "-m", *words, "--project", place, env=local.shell, cwd=images.ROOT)
        return done.stdout

    verb("infra.local", "up")
    assert "answered 2 of 2 samples" in verb("deploy", "deploy-endpoint", "--yes")
    assert len(containers_of(local.home)) == 1
    assert "slipway: ready" in verb("deploy", "logs")
    assert "nothing of multiplier is left" in verb("deploy", "destroy", "--yes")
    until(lambda: not containers_of(local.home), 30)
    images.run("podman", "untag", image, KIT_IMAGE)


def test_who_asks_for_what_the_running_local_cloud_does_not_do_is_told(cloud):
    environment = {**os.environ, "SLIPWAY_LOCAL_HOME": str(cloud.home), "SLIPWAY_LOCAL_CONTAINERS": "process"}
    words = [sys.executable, "-m", "infra.local", "up"]
    done = subprocess.run(words, env=environment, cwd=images.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the local cloud that runs was started for podman" in done.stderr


@pytest.fixture
def with_wheels(build: images.Build, tmp_path: Path) -> Iterator[str]:
    """A base image with all that a build would ask an index for."""
    name = f"{images.IMAGE}:wheels"
    (tmp_path / "Dockerfile").write_text(f"FROM {images.BASE}\nCOPY . /wheels\n")
    images.run("podman", "build", "-f", str(tmp_path / "Dockerfile"), "-t", name, str(build.wheels))
    yield name
    images.run("podman", "rmi", "--force", name)


def test_where_no_image_is_named_the_one_that_is_built_is_the_one_that_serves(
    with_wheels, start_cloud, project
):
    """CodeBuild here hands the build to podman, and the endpoint runs what came of it."""
    local = start_cloud(SLIPWAY_LOCAL_CONTAINERS="podman", SLIPWAY_LOCAL_STARTUP_HEALTH_S="60")
    place = project()
    given = re.sub(r"image = .*\n", "", (place / "deploy.toml").read_text())
    arguments = 'arguments = { PIP_NO_INDEX = "1", PIP_FIND_LINKS = "/wheels" }'
    section = f'[image]\nbase = "{with_wheels}"\nbuilder = "cloud"\n{arguments}\n'
    (place / "deploy.toml").write_text(f"{given}\n{section}")

    def verb(*words: str) -> str:
        command = (sys.executable, "-m", *words, "--project", str(place))
        return images.run(*command, env=local.shell, cwd=images.ROOT).stdout

    verb("infra.local", "up")
    verb("deploy", "infra", "--yes")
    told = verb("deploy", "deploy-endpoint", "--yes")
    assert "answered 2 of 2 samples" in told
    (container,) = containers_of(local.home)
    image = images.run("podman", "inspect", "--format", "{{.ImageName}}", container).stdout.strip()
    assert re.fullmatch(rf"{REGISTRY}/slipway/serving:[0-9a-f]{{16}}", image)
    labels = json.loads(images.run("podman", "image", "inspect", image).stdout)[0]["Config"]["Labels"]
    assert labels["slipway.inputs"] == image.rpartition(":")[2]
    assert "nothing of multiplier is left" in verb("deploy", "destroy", "--yes")
    images.run("podman", "rmi", "--force", image)
