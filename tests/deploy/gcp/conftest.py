"""Verbs with CLOUD=gcp, against the tests' own local cloud; nothing of Google's is asked elsewhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.cloud.aiplatform_v1")
pytest.importorskip("google.cloud.storage")
pytest.importorskip("gcp_storage_emulator")

from deploy import config, gcp  # noqa: E402 - what is not installed is skipped first
from deploy.__main__ import main  # noqa: E402 - likewise
from deploy.gcp import clients, inventory, storage  # noqa: E402 - likewise
from deploy.target import Request  # noqa: E402 - likewise

PROJECT, REGION, BUCKET = "slipway-tests", "us-central1", "slipway-tests-gcp"
GCP_TOML = f"""\
name = "{{name}}"

[gcp]
project = "{PROJECT}"
region = "{REGION}"
bucket = "{BUCKET}"
image = "{REGION}-docker.pkg.dev/{PROJECT}/slipway/serving:1"
machine_type = "n2-standard-2"
"""


def forget() -> None:
    """The next verb makes its clients anew, as a new process would."""
    made = (clients.credentials, clients.session, clients.bucket_client, clients.models, clients.endpoints)
    for cached in (*made, storage._owned):
        cached.cache_clear()


@pytest.fixture
def google(local_cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The local cloud, reached by the environment alone, with a bucket."""
    for name, value in local_cloud.environment.items():
        monkeypatch.setenv(name, value)
    forget()
    client = clients.bucket_client(PROJECT)
    if not client.lookup_bucket(BUCKET):
        client.create_bucket(BUCKET)
    yield local_cloud
    for made in (clients.session, clients.bucket_client):
        for given in ((), (PROJECT,)):
            if made.cache_info().currsize and bool(given) == (made is clients.bucket_client):
                made(*given).close()
    forget()


@pytest.fixture
def deploy(google: Any) -> Callable[..., int]:
    """Runs a verb with CLOUD=gcp."""

    def run(place: Path, verb: str = "deploy-endpoint", *options: str) -> int:
        storage._owned.cache_clear()
        return main([verb, "--project", str(place), "--cloud", "gcp", *options])

    return run


@pytest.fixture
def project(project: Callable[..., Path]) -> Callable[..., Path]:
    """The project that multiplies numbers, with [gcp] in place of [aws]."""

    def write(name: str = "multiplier", **given: Any) -> Path:
        place = project(name, **given)
        (place / "deploy.toml").write_text(GCP_TOML.format(name=name))
        return place

    return write


@pytest.fixture
def iris(project: Callable[..., Path], deploy: Callable[..., int]) -> Iterator[Path]:
    """A project of that name; whatever a test leaves of it is gone after."""
    place = project("iris")
    settings = (place / "deploy.toml").read_text()
    yield place
    (place / "deploy.toml").write_text(settings)
    assert deploy(place, "destroy", "--yes") == 0


@pytest.fixture
def held(google: Any) -> Callable[[str], set[str]]:
    """What the project holds of a deployment: archives, models, the endpoint."""

    def look(name: str) -> set[str]:
        parent = f"projects/{PROJECT}/locations/{REGION}"
        found = {
            f"archive {blob.name}"
            for blob in clients.bucket_client(PROJECT).list_blobs(BUCKET, prefix=f"{name}/")
        }
        models = clients.models(REGION).list_models(parent=parent)
        found |= {
            f"model {one}"
            for model in models
            if (one := inventory.last(model.name)).rpartition("-")[0] == name
        }
        endpoints = clients.endpoints(REGION).list_endpoints(parent=parent)
        return found | {f"endpoint {name}" for one in endpoints if inventory.last(one.name) == name}

    return look


@pytest.fixture
def asked(google: Any) -> Callable[..., Any]:
    """What an endpoint answers to one line of JSON Lines."""

    def ask(place: Path, body: str = "1") -> Any:
        answer = gcp.invoke(config.load(place), Request(body.encode(), "application/jsonlines"))
        return json.loads(answer.body)

    return ask
