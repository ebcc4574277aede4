"""CONTAINERS=podman: a deployed model is a container of its image, under Vertex AI's contract."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import daemon
import images
import pytest
import requests
from waiting import until

from infra.local.engines.images import LABEL
from infra.local.vertex import cputimes
from infra.local.vertex.replicacounts import CPU

# The first test to need it waits for the image to be built.
pytestmark = pytest.mark.timeout(400)
PLACE = "v1/projects/slipway-tests/locations/us-central1"
IMAGE = "us-central1-docker.pkg.dev/slipway-tests/images/slipway-serving:podman"
BUCKET = "models-of-the-tests"
SETTINGS = {
    "PORT": "0",
    "CONTAINERS": "podman",
    "DEPLOYMENT_TIMEOUT_S": "60",
    "STOP_GRACE_S": "5",
    "TIME_SCALE": "0.01",
}
HANDLER = """
import json, os, pathlib, time
class Handler:
    def load(self, model_dir):
        self.factor = json.loads(pathlib.Path(model_dir, "weights.json").read_text())
    def predict(self, instances):
        burnt = time.thread_time() + 0.2 * instances.count("burn")
        while time.thread_time() < burnt:
            pass
        told = {"user": os.geteuid(), "mode": os.environ["AIP_MODE"], "given": os.environ["GIVEN"]}
        return [told if one == "told" else self.factor * one for one in instances]
"""


@dataclass
class Google:
    """A local cloud that runs containers of the image, asked by hand."""

    url: str
    home: Path

    def post(self, path: str, content: Any) -> Any:
        answer = requests.post(f"{self.url}/{path}", json=content, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def done(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation, once it is done."""

        def looked() -> Any:
            found = requests.get(f"{self.url}/v1/{operation['name']}", timeout=30).json()
            return found if found.get("done") else None

        return until(looked, 90)

    def model(self, **container: Any) -> str:
        """Uploads a model of the image and returns its name."""
        given = {"imageUri": IMAGE, "env": [{"name": "GIVEN", "value": "$(AIP_HTTP_PORT)"}], **container}
        model = {"displayName": "it", "containerSpec": given, "artifactUri": f"gs://{BUCKET}/it"}
        uploaded = self.done(self.post(f"{PLACE}/models:upload", {"model": model}))
        return str(uploaded["response"]["model"])

    def deployed(self, endpoint: str, model: str, **scaling: Any) -> dict[str, Any]:
        resources = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1, **scaling}
        content = {"deployedModel": {"model": model, "dedicatedResources": resources}}
        content["trafficSplit"] = {"0": 100}
        return self.done(self.post(f"v1/{endpoint}:deployModel", content))

    def endpoint(self) -> str:
        made = self.done(self.post(f"{PLACE}/endpoints", {"displayName": "it"}))
        return str(made["response"]["name"])

    def containers(self) -> list[str]:
        return images.run("podman", "ps", "-aq", "--filter", f"label={LABEL}={self.home}").stdout.split()


@pytest.fixture(scope="module")
def google(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    images.run("podman", "tag", image, IMAGE)
    home = tmp_path_factory.mktemp("local-google")
    with daemon.running(home, SETTINGS) as (url, process):
        made = Google(url, home)
        made.post("_local/google", {})
        made.post("storage/v1/b?project=slipway-tests", {"name": BUCKET})
        for name, text in {
            "weights.json": "3",
            "code/handler.py": HANDLER,
            "code/samples.jsonl": "1\n",
        }.items():
            where = f"{url}/upload/storage/v1/b/{BUCKET}/o"
            query = {"uploadType": "media", "name": f"it/{name}"}
            requests.post(where, params=query, data=text.encode(), timeout=30).raise_for_status()
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    assert process.returncode == 0
    assert made.containers() == [], "a container outlived the local cloud"
    images.run("podman", "untag", image, IMAGE)


def test_a_deployed_model_is_a_container_that_fetches_its_model_and_is_an_ordinary_user(google):
    endpoint = google.endpoint()
    deployed = google.deployed(endpoint, google.model())
    assert "error" not in deployed, deployed
    answer = google.post(f"v1/{endpoint}:predict", {"instances": [2, "told"]})
    product, told = answer["predictions"]
    assert product == 6
    assert told["user"] == 1000
    assert told["mode"] == "PREDICTION"
    (container,) = google.containers()
    log = images.run("podman", "logs", container).stderr
    assert f"http://127.0.0.1:{told['given']}" in log, "it listens on this machine alone"
    model = {"deployedModelId": deployed["response"]["deployedModel"]["id"]}
    google.done(google.post(f"v1/{endpoint}:undeployModel", model))
    until(lambda: not google.containers(), 30)


def test_a_container_s_work_brings_another_one_and_without_work_it_goes(google):
    endpoint = google.endpoint()
    target = {"metricName": CPU, "target": max(1, 20 // cputimes.cores())}
    deployed = google.deployed(endpoint, google.model(), maxReplicaCount=2, autoscalingMetricSpecs=[target])

    def two():
        google.post(f"v1/{endpoint}:predict", {"instances": ["burn"]})
        return len(google.containers()) == 2

    until(two, 60)
    until(lambda: len(google.containers()) == 1, 60)
    model = {"deployedModelId": deployed["response"]["deployedModel"]["id"]}
    google.done(google.post(f"v1/{endpoint}:undeployModel", model))


def test_a_model_s_own_command_and_arguments_stand_in_the_place_of_the_image_s(google):
    script = "print('the port is', '$(AIP_HTTP_PORT)')"
    deployed = google.deployed(google.endpoint(), google.model(command=["python3", "-c"], args=[script]))
    assert "the port is " in deployed["error"]["message"]
    assert "AIP_HTTP_PORT" not in deployed["error"]["message"]


def test_an_image_that_podman_has_not_fails_the_deployment(google):
    deployed = google.deployed(google.endpoint(), google.model(imageUri=IMAGE.replace(":podman", ":gone")))
    assert "podman has no image" in deployed["error"]["message"]
    assert json.dumps(deployed).count("slipway-serving:gone")
