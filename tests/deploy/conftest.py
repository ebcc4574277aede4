"""What the tests of deploy/ share: verbs in this process, against the tests' own local cloud."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy.__main__ import main
from deploy.aws import clients

BUCKET = "slipway-tests"


def forget() -> None:
    """The next verb makes its clients anew, as a new process would."""
    for client in (clients.s3, clients.sagemaker, clients.runtime, clients.logs):
        client.cache_clear()
    boto3.DEFAULT_SESSION = None


@pytest.fixture
def fresh() -> Iterator[Callable[[], Any]]:
    """Makes the SDK's session anew and returns it, so that a test can listen to what it sends."""

    def make() -> Any:
        forget()
        boto3.setup_default_session()
        return boto3.DEFAULT_SESSION

    yield make
    forget()


@pytest.fixture
def deploy(local_cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a verb; this process speaks to the local cloud by its environment alone."""
    for name, value in local_cloud.environment.items():
        monkeypatch.setenv(name, value)

    def run(place: Path, verb: str = "deploy-endpoint", *options: str) -> int:
        return main([verb, "--project", str(place), *options])

    return run


@pytest.fixture
def iris(
    project: Callable[..., Path], deploy: Callable[..., int], request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A project of that name; whatever a test leaves of it is gone after."""
    place = project("iris")
    settings = (place / "deploy.toml").read_text()
    yield place
    if "fresh" in request.fixturenames:
        forget()
    (place / "deploy.toml").write_text(settings)
    assert deploy(place, "destroy", "--yes") == 0


@pytest.fixture
def held(local_cloud: Any) -> Callable[[str], set[str]]:
    """What the account holds of a deployment: archives, models, configurations, the endpoint."""
    sagemaker, s3 = local_cloud.client("sagemaker"), local_cloud.client("s3")

    def look(name: str) -> set[str]:
        found = {f"archive {o['Key']}" for o in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        found |= {f"model {m['ModelName']}" for m in sagemaker.list_models()["Models"]}
        configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        found |= {f"endpoint_config {c['EndpointConfigName']}" for c in configs}
        found |= {f"endpoint {e['EndpointName']}" for e in sagemaker.list_endpoints()["Endpoints"]}
        own = re.compile(rf"\w+ {name}(-[0-9a-f]{{12}}|/.*)?")
        return {thing for thing in found if own.fullmatch(thing)}

    return look


@pytest.fixture
def asked(local_cloud: Any) -> Callable[..., str]:
    """What an endpoint answers."""
    runtime = local_cloud.client("sagemaker-runtime")

    def ask(name: str, body: str = "1") -> str:
        answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/jsonlines")
        return answer["Body"].read().decode().strip()

    return ask


@pytest.fixture
def weighed() -> Callable[[Path, float], Path]:
    """Gives a project another model, which multiplies by this factor; returns the project."""

    def weigh(place: Path, factor: float) -> Path:
        (place / "build/model/weights.json").write_text(f'{{"factor": {factor}}}')
        return place

    return weigh
