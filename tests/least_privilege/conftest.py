"""An account with the stack of infra/aws in a local cloud of its own, and the verbs in its roles' names."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from clouds import aws

from deploy.__main__ import main

REGION, BUCKET, STACK = "us-east-1", "slipway-iris", "slipway-slipway-iris"
ACCOUNT = "123456789012"
SETTINGS = f"""\
name = "iris"

[aws]
region = "{REGION}"
bucket = "{BUCKET}"
role = "arn:aws:iam::{ACCOUNT}:role/slipway-execution"
instance_type = "ml.m7i.large"
log_days = 14
{{scheduler}}
[image]
builder = "cloud"

[training]
image = "{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/slipway/serving:1"
spot = true

"""
HANDLER = """\
import json
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def predict(self, inputs):
        return [self.factor * value for value in inputs]
"""
# Answers in pieces.
STREAMING = HANDLER.replace("        return [self", "        yield [self")
# Keeps a checkpoint for a while.
TRAIN = """\
import json, os, pathlib, time

print("training", flush=True)
kept = pathlib.Path("/opt/ml/checkpoints/first")
kept.write_text("1")
time.sleep(0.5)
kept.unlink()
time.sleep(0.5)
scale = float(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "scale.txt").read_text())
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text(json.dumps({"factor": 7 * scale}))
"""
GUARDED = """\
[release]

[endpoint]
rollout = "canary"
percent = 10
wait_s = 0

[endpoint.scaling]
max = 2
invocations = 600

[endpoint.alarms]
errors = 5

[endpoint.capture]
"""
ASYNCHRONOUS = """\
[endpoint.asynchronous]

[endpoint.scaling]
max = 2
backlog = 5
"""


@dataclass
class Account:
    """The stack's account: `roles` are the ARNs by their names in the template."""

    cloud: Any
    roles: dict[str, str]

    def keys(self, role: str) -> dict[str, str]:
        """The environment of a session of that role."""
        sts = self.cloud.client("sts")
        made = sts.assume_role(RoleArn=self.roles[role], RoleSessionName="test")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            "AWS_SESSION_TOKEN": made["SessionToken"],
        }

    def client(self, role: str, service: str) -> Any:
        """A client in a session of that role."""
        keys = {name.lower(): value for name, value in self.keys(role).items()}
        session = boto3.Session(region_name=REGION, **keys)
        return session.client(service, endpoint_url=self.cloud.url)

    def told(self) -> dict[str, Any]:
        """What IAM was asked so far, and what the roles may do."""
        with urllib.request.urlopen(f"{self.cloud.url}/_local/permissions") as answer:
            return json.load(answer)


class Verbs:
    """Runs verbs in this process on one project, in the name of whoever was chosen last."""

    def __init__(self, cloud: Any, place: Path) -> None:
        self.place, self.cloud = place, cloud
        self._keys: dict[str, str] = {}

    def enter(self, keys: dict[str, str]) -> None:
        """From now on verbs run with these credentials."""
        self._keys = keys

    def configure(self, more: str = "", scheduler: str = "") -> None:
        """deploy.toml with further sections, and the role of the scheduler."""
        line = f'scheduler_role = "{scheduler}"\n' if scheduler else ""
        (self.place / "deploy.toml").write_text(SETTINGS.format(scheduler=line) + more)

    def __call__(self, verb: str, *options: str, stop_at: str = "") -> int:
        """The verb's exit status; `stop_at` is the operation after whose answer Ctrl-C is pressed."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.cloud.environment, **self._keys}.items():
                patch.setenv(name, value)
            events = aws.fresh().events
            if stop_at:
                events.register("after-call", lambda model, **_: _stop(model.name == stop_at))
            try:
                return main([verb, "--project", str(self.place), "--cloud", "aws", *options])
            finally:
                aws.forget()

    def do(self, verb: str, *options: str) -> None:
        """Runs the verb, which must succeed."""
        assert self(verb, *options) == 0, verb

    def stop(self, operation: str, verb: str, *options: str) -> None:
        """Runs the verb and presses Ctrl-C when that operation was answered."""
        assert self(verb, *options, stop_at=operation) == 130, verb


def _stop(is_time: bool) -> None:
    if is_time:
        signal.raise_signal(signal.SIGINT)


def written(place: Path) -> Path:
    """The project iris, without a model and deploy.toml."""
    for folder in ("inference", "training", "data/train"):
        (place / folder).mkdir(parents=True)
    (place / "inference/handler.py").write_text(HANDLER)
    (place / "inference/requirements.txt").write_text("")
    (place / "inference/samples.jsonl").write_text("1\n2.5\n")
    (place / "training/train.py").write_text(TRAIN)
    (place / "data/train/scale.txt").write_text("1")
    return place


@pytest.fixture(scope="session")
def verbs(start_cloud: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    """The verbs on the project iris, in a local cloud of its own that has nothing yet."""
    cloud = start_cloud(SLIPWAY_LOCAL_CHECKPOINT_INTERVAL_S="0.1", SLIPWAY_LOCAL_IMAGE_BUILD_S="1")
    return Verbs(cloud, written(tmp_path_factory.mktemp("projects") / "iris"))


@pytest.fixture(scope="session")
def account(verbs: Verbs) -> Account:
    """The account with the stack, which `infra` made in the name of whoever has no role."""
    cloud = verbs.cloud
    verbs.configure()
    verbs.do("infra", "--set", "InstanceTypes=ml.m7i.*")
    found = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    names = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}
    iam = cloud.client("iam")
    roles = [one["LogicalResourceId"] for one in found if one["ResourceType"] == "AWS::IAM::Role"]
    return Account(cloud, {role: iam.get_role(RoleName=names[role])["Role"]["Arn"] for role in roles})


@pytest.fixture(scope="session")
def journey(verbs: Verbs, account: Account) -> Verbs:
    """All verbs, one after the other, in the deployer's name; each must do what it does."""
    verbs.enter(account.keys("DeployerRole"))
    verbs.configure(GUARDED, account.roles["ExpiryRole"])
    _trained(verbs)
    verbs.do("plan")
    verbs.stop("BatchGetBuilds", "deploy-endpoint", "--yes")
    for lifetime in ("4h", "5h"):
        verbs.do("deploy-endpoint", "--yes", "--ttl", lifetime)
    for verb in ("invoke", "status", "logs"):
        verbs.do(verb)
    _invoked(account)
    _scored(verbs, account)
    _replaced(verbs)
    verbs.do("destroy", "--yes")
    _asked_later(verbs, account)
    return verbs


def _trained(verbs: Verbs) -> None:
    verbs.stop("CreateTrainingJob", "train")
    verbs.do("train")


def _invoked(account: Account) -> None:
    runtime = account.client("InvokerRole", "sagemaker-runtime")
    asked = {"EndpointName": "iris", "Body": b"1", "ContentType": "application/jsonlines"}
    assert runtime.invoke_endpoint(**asked)["Body"].read() == b"7.0\n"
    streamed = runtime.invoke_endpoint_with_response_stream(**asked)["Body"]
    assert b"".join(one["PayloadPart"]["Bytes"] for one in streamed) == b"7.0\n"
    runtime.close()


def _scored(verbs: Verbs, account: Account) -> None:
    """Files of this machine, one of which fails; a job that is stopped; objects in the bucket."""
    inputs = verbs.place / "in"
    inputs.mkdir()
    (inputs / "a.jsonl").write_text("1\n")
    (inputs / "bad.jsonl").write_text('{"no": "number"}\n')
    output = ("--output", str(verbs.place / "out"), "--yes")
    assert verbs("batch-transform", "--input", str(inputs), *output) == 1
    (inputs / "bad.jsonl").write_text("2\n")
    verbs.stop("CreateTransformJob", "batch-transform", "--input", str(inputs), *output)
    s3 = account.client("DeployerRole", "s3")
    s3.put_object(Bucket=BUCKET, Key="data/in/a.jsonl", Body=b"1\n2\n")
    s3.close()
    data = f"s3://{BUCKET}/data"
    verbs.do("batch-transform", "--input", f"{data}/in/", "--output", f"{data}/out", "--yes")


def _replaced(verbs: Verbs) -> None:
    """Another version, which streams, and back again."""
    (verbs.place / "inference/handler.py").write_text(STREAMING)
    verbs.do("deploy-endpoint", "--yes")
    (verbs.place / "inference/handler.py").write_text(HANDLER)
    verbs.do("rollback")


def _asked_later(verbs: Verbs, account: Account) -> None:
    """An asynchronous endpoint, which fails once."""
    verbs.configure(ASYNCHRONOUS)
    verbs.do("deploy-endpoint", "--yes")
    body = verbs.place / "bad.jsonl"
    body.write_text('{"no": "number"}\n')
    assert verbs("invoke", "--body", str(body)) == 1
    verbs.do("destroy", "--yes")
