"""An endpoint that moves from version to version, and what stands in its way on Vertex AI."""

import subprocess
import sys
from pathlib import Path

import pytest
from clouds.gcp import PLACE
from waiting import until

from deploy import config, gcp
from deploy.gcp import inventory
from deploy.plan import Change
from deploy.target import Refused

ROOT = Path(__file__).parents[3]
ENDPOINT = f"{PLACE}/endpoints/iris"
MACHINE = {"machine_spec": {"machine_type": "n2-standard-2"}, "min_replica_count": 1}


def shares(cloud):
    """How much of the traffic each version on the endpoint has."""
    endpoint = cloud.endpoints.get_endpoint(name=ENDPOINT)
    return {inventory.last(one.model): endpoint.traffic_split.get(one.id) for one in endpoint.deployed_models}


def test_the_version_before_is_on_no_machine_any_more(cloud, iris, deploy, weighed):
    assert deploy(iris) == 0
    (first,) = shares(cloud)
    assert deploy(weighed(iris, 3)) == 0
    ((second, share),) = shares(cloud).items()
    assert (share, second != first) == (100, True)


def test_a_deploy_that_was_stopped_before_the_old_version_left_is_taken_up(
    cloud, iris, deploy, asked, weighed
):
    assert deploy(iris) == 0
    (first,) = shares(cloud)
    assert deploy(weighed(iris, 3)) == 0
    (second,) = shares(cloud)
    again = {"model": f"{PLACE}/models/{first}", "display_name": first, "dedicated_resources": MACHINE}
    cloud.endpoints.deploy_model(endpoint=ENDPOINT, deployed_model=again).result(30)
    assert len(shares(cloud)) == 2
    assert deploy(iris) == 0
    assert shares(cloud) == {second: 100}
    assert asked(iris) == 3


def test_an_endpoint_that_has_no_model_yet_gets_one(cloud, iris, deploy, asked):
    """What is left of a first deploy that was killed after it had made the endpoint."""
    made = gcp.in_service(config.load(iris), "any")[0]
    cloud.endpoints.create_endpoint(request=made.params).result(30)
    assert deploy(iris) == 0
    assert asked(iris) == 2


def test_destroy_takes_an_endpoint_whose_traffic_is_split(cloud, iris, deploy, held):
    assert deploy(iris) == 0
    (one,) = cloud.endpoints.get_endpoint(name=ENDPOINT).deployed_models
    again = {"model": one.model, "dedicated_resources": MACHINE}
    split = {"0": 40, one.id: 60}
    cloud.endpoints.deploy_model(endpoint=ENDPOINT, deployed_model=again, traffic_split=split).result(30)
    assert deploy(iris, "destroy", "--yes") == 0
    assert held(iris) == set()


def test_what_is_changed_by_somebody_else_is_left_to_them(iris, cloud, deploy, asked):
    slow = iris / "inference/handler.py"
    assert deploy(iris) == 0
    at_first = slow.read_text()
    slow.write_text(at_first.replace("def load", "import time; time.sleep(4)\n\n    def load"))
    command = [sys.executable, "-m", "deploy", "deploy-endpoint", "--cloud", "gcp", "--project", str(iris)]
    with subprocess.Popen(command, env=cloud.local.shell, stdout=subprocess.PIPE, cwd=ROOT) as first:
        settings = config.load(iris)
        until(lambda: inventory.running(settings), 60)
        (version,) = (r.version for r in inventory.endpoint(settings))
        change = Change("update", gcp.in_service(settings, version)[0])
        with pytest.raises(Refused, match="endpoint 'iris' is being changed by somebody else"):
            gcp.apply(settings, change, lambda state: None)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert asked(iris) == 2
