"""No container outlives the local cloud, however it ends."""

import signal
from pathlib import Path

import pytest
from waiting import until


def containers_of(home):
    """The processes whose home is a container's of that local cloud."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOME={home}/containers/".encode() in place.read_bytes():
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def deploying(another, environment):
    """Begins a deployment by hand; the operation."""
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    model = {"displayName": "m", "containerSpec": {"imageUri": another.image, "env": variables}}
    uploaded = another.ask("POST", "models:upload", json={"model": model}).json()["response"]["model"]
    made = another.ask("POST", "endpoints", json={"displayName": "e"}).json()["response"]["name"]
    resources = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
    body = {"deployedModel": {"model": uploaded, "dedicatedResources": resources}}
    path = f"endpoints/{made.rpartition('/')[2]}:deployModel"
    return another.ask("POST", path, json=body).json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("environment", [{}, {"START_S": "60"}])
def test_the_end_of_the_local_cloud_is_that_of_its_containers(another, environment, number):
    operation = deploying(another, environment)
    assert "error" not in operation, operation
    until(lambda: containers_of(another.home))
    another.process.send_signal(number)
    assert another.process.wait(20) == (0 if number == signal.SIGTERM else -number)
    until(lambda: not containers_of(another.home))
