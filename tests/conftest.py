"""A local cloud of the tests' own, never the user's, and small projects to deploy on it."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from environments import SAGEMAKER, Environment, build
from roles import make_role
from waiting import until

ROOT = Path(__file__).parents[1]
ACCOUNT = "123456789012"
REGION = "us-east-1"
BUCKET = "slipway-tests"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/slipway-execution"
GOOGLE = ("google.cloud.aiplatform_v1", "google.cloud.storage", "gcp_storage_emulator")
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/slipway-serving:1"
# The real platform's times and limits, scaled down.
SETTINGS = {
    "SLIPWAY_LOCAL_PORT": "0",
    "SLIPWAY_LOCAL_STARTUP_HEALTH_S": "30",
    "SLIPWAY_LOCAL_PING_INTERVAL_S": "0.2",
    "SLIPWAY_LOCAL_INVOCATION_TIMEOUT_S": "10",
    "SLIPWAY_LOCAL_STOP_GRACE_S": "3",
    "SLIPWAY_LOCAL_TIME_SCALE": "0.01",
}
HANDLER = """\
import json
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def predict(self, inputs):
        return [self.factor * value for value in inputs]
"""
DEPLOY_TOML = f"""\
name = "{{name}}"

[aws]
region = "{REGION}"
bucket = "{BUCKET}"
role = "{ROLE}"
image = "{IMAGE}"
instance_type = "ml.m7i.large"

[training]
image = "{IMAGE}"
"""

# A shell that runs the tests in the background has them ignore Ctrl-C, and nohup a closed terminal, and so
# whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass
class LocalCloud:
    """A running local cloud: where it is, and what `env` printed."""

    home: Path
    environment: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return json.loads((self.home / "state.json").read_text())["pid"]

    @property
    def shell(self) -> dict[str, str]:
        """A whole environment for a command that is to use this local cloud and know of no other."""
        return {**clean_environment(), **self.settings, **self.environment}

    def client(self, service: str, region: str = REGION, account: str = "local") -> Any:
        """A boto3 client; `account` is an access key, which may be an account's number."""
        key = (service, region, account)
        if key not in self.clients:
            self.clients[key] = boto3.Session().client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=account,
                aws_secret_access_key="local",
            )
        return self.clients[key]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def clean_environment() -> dict[str, str]:
    """This process's environment without what leads to a cloud."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}


def local(*words: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One command of the local cloud, with these settings alone."""
    command = [sys.executable, "-m", "infra.local", *words]
    environment = {**clean_environment(), **settings}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90)


def exports(text: str) -> dict[str, str]:
    """What a shell makes of `export NAME=value` lines, which is all that may be there."""
    found = {}
    for line in text.splitlines():
        word, assignment = shlex.split(line)
        assert word == "export"
        name, _, found_value = assignment.partition("=")
        found[name] = found_value
    return found


def processes_under(home: Path) -> list[str]:
    """The command lines of the processes that work in a local cloud's home: it, and its containers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(home):
                found.append(
                    f"{process.name} {(process / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                )
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.fixture(scope="session")
def start_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalCloud]]:
    """Starts a local cloud with settings of one's own; all are stopped at the end and leave no process."""
    started: list[LocalCloud] = []

    def start(**settings: str) -> LocalCloud:
        home = tmp_path_factory.mktemp("cloud")
        own = {**SETTINGS, **settings, "SLIPWAY_LOCAL_HOME": str(home)}
        started.append(LocalCloud(home, {}, own))
        done = local("env", settings=own)
        assert done.returncode == 0, done.stderr
        started[-1].environment = exports(done.stdout)
        return started[-1]

    yield start
    for cloud in started:
        cloud.close()
        stopped = local("down", settings=cloud.settings)
        assert stopped.returncode == 0, stopped.stderr
        until(lambda home=cloud.home: not processes_under(home), 10)


@pytest.fixture(scope="session")
def local_cloud(start_cloud: Callable[..., LocalCloud]) -> LocalCloud:
    """The local cloud that the tests share, with a bucket and an execution role."""
    cloud = start_cloud()
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    make_role(cloud.client("iam"), "slipway-execution")
    return cloud


@pytest.fixture(scope="session")
def both_clouds(local_cloud: LocalCloud) -> Iterator[Callable[[str], Any]]:
    """A `clouds.Cloud` of the shared local cloud, by its name: "aws" or "gcp".

    Without Google's packages there is no "gcp", and its tests are skipped; in CI they never are.
    """
    made: dict[str, Any] = {}

    def find(name: str) -> Any:
        if name not in made:
            made[name] = _aws(local_cloud) if name == "aws" else _gcp(local_cloud)
        return made[name]

    yield find
    for one in made.values():
        one.close()


def _aws(local: LocalCloud) -> Any:
    from clouds.aws import Aws  # boto3 is there, deploy's clients cost their import

    return Aws(local)


def _gcp(local: LocalCloud) -> Any:
    if not os.environ.get("CI"):
        for needed in GOOGLE:
            pytest.importorskip(needed)
    from clouds.gcp import Gcp  # costs seconds, and only where a test wants it

    return Gcp(local)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a project that multiplies numbers, trained already, and returns its folder."""

    def write(
        name: str = "multiplier", factor: float = 2, handler: str = HANDLER, samples: str = "1\n2.5\n"
    ) -> Path:
        place = tmp_path / name
        for folder in ("inference", "training", "build/model"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        (place / "deploy.toml").write_text(DEPLOY_TOML.format(name=name))
        (place / "inference/handler.py").write_text(handler)
        (place / "inference/requirements.txt").write_text("")
        (place / "inference/samples.jsonl").write_text(samples)
        (place / "build/model/weights.json").write_text(json.dumps({"factor": factor}))
        return place

    return write


@pytest.fixture(scope="session")
def python_of(pytestconfig: pytest.Config) -> Callable[[Environment], Path]:
    """The Python of an environment, which is built on first use. CI never goes without it."""

    def find(wanted: Environment) -> Path:
        try:
            with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                build(wanted)
        except (subprocess.CalledProcessError, OSError) as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(
                f"{wanted.name} could not be built ({error}); "
                "with a package index: python tests/environments.py"
            )
        return wanted.python

    return find


@pytest.fixture(scope="session")
def sdk_python(python_of: Callable[[Environment], Path]) -> Path:
    """The Python that has the SageMaker SDK."""
    return python_of(SAGEMAKER)
