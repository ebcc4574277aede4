"""A local cloud of our own with small limits and short times, and Google's SDK unmodified to ask it."""

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import daemon
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform, storage

ROOT = Path(__file__).parents[4]
PROJECT, REGION = "slipway-tests", "us-central1"
REGISTRY = f"{REGION}-docker.pkg.dev/{PROJECT}/images"
IMAGE = f"{REGISTRY}/standin:1"
BUCKET = "models-of-the-tests"
SETTINGS = {
    "PORT": "0",
    "IMAGES": json.dumps(
        {f"{REGISTRY}/standin": [sys.executable, str(Path(__file__).with_name("standin.py")), "serve"]}
    ),
    "DEPLOYMENT_TIMEOUT_S": "8",
    "HEALTH_TIMEOUT_S": "1",
    "HEALTH_INTERVAL_S": "0.1",
    "SHARED_TIMEOUT_S": "1.5",
    "STOP_GRACE_S": "2",
    "TIME_SCALE": "0.01",  # replicas are counted every 0.15 s, and go after three quiet seconds
    "SHARED_PAYLOAD_BYTES": "15000",
    "DEDICATED_PAYLOAD_BYTES": "100000",
}
_numbers = itertools.count()


@dataclass
class Google:
    """A running local cloud, and the SDK pointed at it."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    storage: Any
    bucket: str = BUCKET
    image: str = IMAGE
    kit_image: str = f"{REGISTRY}/slipway-serving:1"
    standin: Path = Path(__file__).with_name("standin.py")
    place: str = f"projects/{PROJECT}/locations/{REGION}"

    def name(self, word: str = "it") -> str:
        return f"{word}-{next(_numbers)}"

    def ask(self, method: str, path: str, **given: Any) -> requests.Response:
        """One request by hand: `path` is below the place."""
        return requests.request(method, f"{self.url}/v1/{self.place}/{path}", timeout=30, **given)

    def model(self, environment: dict[str, str] | None = None, **given: Any) -> Any:
        """Uploads a model of the stand-in image."""
        return aiplatform.Model.upload(
            **{
                "display_name": self.name("model"),
                "serving_container_image_uri": IMAGE,
                "serving_container_environment_variables": environment,
                **given,
            }
        )

    def endpoint(self, dedicated: bool = True) -> Any:
        """Makes an endpoint without a model."""
        name = self.name("endpoint")
        return aiplatform.Endpoint.create(display_name=name, dedicated_endpoint_enabled=dedicated)

    @functools.cached_property
    def shared(self) -> Any:
        """A shared endpoint with a model, for tests that only call it."""
        return self.served(dedicated=False)

    def served(self, environment: dict[str, str] | None = None, dedicated: bool = True, **given: Any) -> Any:
        """An endpoint with one model on it."""
        endpoint = self.endpoint(dedicated)
        endpoint.deploy(self.model(environment, **given), machine_type="n1-standard-2")
        return endpoint


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Google]:
    """A local cloud for one test, which may end it; the SDK does not know of it."""
    with running(tmp_path) as google:
        yield google


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with running(tmp_path_factory.mktemp("local-google")) as google:
        yield from _pointed(google)
        google.process.send_signal(signal.SIGTERM)
        google.process.wait(30)
    assert google.process.returncode == 0
    assert list(google.home.glob("containers/*")) == [], "a container outlived the local cloud"


@contextlib.contextmanager
def running(home: Path) -> Iterator[Google]:
    """A local cloud of its own; killed in the end if it still runs."""
    with daemon.running(home, SETTINGS) as (url, process):
        yield Google(url, home, process, None)


def _pointed(google: Google) -> Iterator[Google]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", google.url)
        patch.setenv("REQUESTS_CA_BUNDLE", str(google.home / "tls" / "bundle.pem"))
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        requests.post(f"{google.url}/_local/google", json={}, timeout=30).raise_for_status()
        credentials = AnonymousCredentials()
        google.storage = storage.Client(project=PROJECT, credentials=credentials)
        google.storage.create_bucket(BUCKET)
        aiplatform.init(
            project=PROJECT,
            location=REGION,
            staging_bucket=f"gs://{BUCKET}",
            credentials=credentials,
            api_endpoint=google.url,
            api_transport="rest",
        )
        yield google
        google.storage.close()
