"""`batch-transform` as a person uses it, against the tests' own local clouds: real jobs, real containers."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clouds import aws
from clouds.transforms import AwsJobs, GcpJobs

ROOT = Path(__file__).parents[3]


HANDLER = """\
import json
import time
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def preprocess(self, instances):
        return [self.number(instance) for instance in instances]

    def number(self, instance):
        if instance == "wait":
            time.sleep(1.5)
            return 0
        if isinstance(instance, dict):
            instance = instance["x"]
        return int(instance[0] if isinstance(instance, list) else instance)

    def predict(self, inputs):
        return [self.factor * value for value in inputs]
"""


@pytest.fixture
def scored(iris: Path, deploy: Callable[..., int], tmp_path: Path) -> Callable[..., int]:
    """Runs the verb on `in` and `out` of the test's own folder, or on what is named."""
    (iris / "inference/handler.py").write_text(HANDLER)
    # A model of the test's own: a run that another test has made is not to be found again.
    (iris / "build/model/weights.json").write_text(json.dumps({"factor": 2, "of": str(tmp_path)}))

    def run(*options: str, source: str = "", output: str = "") -> int:
        places = ["--input", source or str(tmp_path / "in"), "--output", output or str(tmp_path / "out")]
        return deploy(iris, "batch-transform", *places, *options)

    return run


@pytest.fixture
def wrote(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Writes input files."""

    def write(files: dict[str, str | bytes]) -> Path:
        for name, body in files.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body.encode() if isinstance(body, str) else body)
        return tmp_path / "in"

    return write


@pytest.fixture
def out(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """What OUTPUT holds, hidden files too, but for the report."""

    def read() -> dict[str, str]:
        place = tmp_path / "out"
        paths = [path for path in place.rglob("*") if path.is_file() and path.name != "report.json"]
        return {path.relative_to(place).as_posix(): path.read_text() for path in paths}

    return read


@pytest.fixture
def account(cloud: Any) -> AwsJobs | GcpJobs:
    """What the cloud tells of jobs, and does with them."""
    return AwsJobs(cloud) if cloud.name == "aws" else GcpJobs(cloud)


@pytest.fixture
def jobs(account: Any) -> Callable[[], list[str]]:
    """The names of the jobs that were started since the test began, the newest first."""
    before = set(account.names())
    return lambda: [name for name in account.names() if name not in before]


@pytest.fixture
def results(cloud: Any) -> Iterator[str]:
    """A prefix of the bucket, empty before and after."""
    yield cloud.uri("results")
    cloud.storage.remove(cloud.uri("results/"))


@pytest.fixture
def fresh(cloud: Any) -> Iterator[Callable[[], Any]]:
    """Makes boto3's session anew and returns it, so that a test can listen to what it sends."""
    yield aws.fresh
    cloud.forget()


@pytest.fixture
def begun(iris: Path, cloud: Any, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the verb as a process of its own."""
    started = []

    def start() -> subprocess.Popen[str]:
        places = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
        words = ["--project", str(iris), "--cloud", cloud.name, *places]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "deploy", "batch-transform", *words],
                cwd=ROOT,
                env=cloud.local.shell,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()
