"""Endpoints as Google's SDK knows them, deployed to, called and taken down."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform
from waiting import is_alive, until


def told(endpoint, **given):
    """What the container says of itself."""
    return endpoint.predict(instances=[{"tell": True}], **given).predictions[0]


def test_an_endpoint_serves_what_the_container_answers_and_says_which_model_it_was(google):
    endpoint = google.served()
    answer = endpoint.predict(instances=[{"x": 1}, 2.5, "three", [None, True]])
    assert answer.predictions == [{"x": 1}, 2.5, "three", [None, True]]
    (deployed,) = endpoint.list_models()
    assert answer.deployed_model_id == deployed.id
    assert answer.model_resource_name == deployed.model
    assert answer.model_version_id == "1"


def test_the_container_has_the_contract_s_variables_and_nothing_of_the_local_cloud(google):
    """platform-contracts: Vertex AI serving container, Environment."""
    endpoint = google.served({"MINE": "yes", "ROUTE": "$(AIP_HEALTH_ROUTE)"})
    environment = told(endpoint, parameters={"k": 10})["environment"]
    (deployed,) = endpoint.list_models()
    route = f"/v1/endpoints/{endpoint.name}/deployedModels/{deployed.id}"
    expected = {
        "AIP_HEALTH_ROUTE": route,
        "AIP_PREDICT_ROUTE": f"{route}:predict",
        "AIP_STORAGE_URI": "",
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_ENDPOINT_ID": endpoint.name,
        "AIP_DEPLOYED_MODEL_ID": deployed.id,
        "AIP_MODEL_NAME": deployed.model.rpartition("/")[2],
        "AIP_VERSION_NAME": "1",
        "AIP_PROJECT_NUMBER": endpoint.resource_name.split("/")[1],
        "AIP_MACHINE_TYPE": "n1-standard-2",
        "AIP_ACCELERATOR_TYPE": "",
        "MINE": "yes",
        "ROUTE": route,
        "STORAGE_EMULATOR_HOST": google.url,
    }
    assert expected.items() <= environment.items()
    assert "AIP_HTTP_PORT" in environment
    assert not {"SLIPWAY_LOCAL_HOME", "SLIPWAY_READY_FD", "USER"} & set(environment)


def test_routes_command_and_arguments_are_the_model_s(google):
    """platform-contracts: `command` overrides ENTRYPOINT, `args` overrides CMD, `$(VAR)` is expanded."""
    endpoint = google.served(
        serving_container_predict_route="/say",
        serving_container_health_route="/well",
        serving_container_args=["--port", "$(AIP_HTTP_PORT)", "$(NONE)", "$$(AIP_HTTP_PORT)"],
    )
    seen = told(endpoint)
    port = seen["environment"]["AIP_HTTP_PORT"]
    assert seen["environment"]["AIP_PREDICT_ROUTE"] == "/say"
    assert seen["argv"][1:] == ["--port", port, "$(NONE)", "$(AIP_HTTP_PORT)"], "not the image's `serve`"


def test_a_command_of_the_model_runs_in_a_private_python(google):
    script = f"exec python {google.standin} from $0 $(AIP_MODE)"
    endpoint = google.served(serving_container_command=["sh", "-c", script], serving_container_args=["here"])
    seen = told(endpoint)
    assert seen["argv"][1:] == ["from", "here", "PREDICTION"]
    assert seen["executable"].startswith(str(google.home / "containers"))


def test_integers_stay_integers_on_a_dedicated_endpoint_and_become_floats_on_a_shared_one(google):
    """platform-contracts: 2**60 loses precision on a shared endpoint; a dedicated one keeps it."""
    dedicated, shared = google.served(), google.served(dedicated=False)
    assert dedicated.predict(instances=[2**60 + 1]).predictions == [2**60 + 1]
    assert shared.predict(instances=[2**60 + 1]).predictions == [float(2**60)]
    answer = google.ask("POST", f"endpoints/{shared.name}:predict", json={"instances": [1]})
    assert answer.text.startswith('{"predictions": [1.0]')


def test_the_sdk_s_raw_predict_carries_bytes_type_and_status_untouched(google):
    endpoint = google.served()
    answer = endpoint.raw_predict(body=b"\x00abc", headers={"Content-Type": "application/x-odd"})
    assert (answer.status_code, answer.content) == (201, b"cba\x00")
    assert answer.headers["Content-Type"] == "text/reversed"
    assert answer.headers["X-Vertex-AI-Deployed-Model-Id"] == endpoint.list_models()[0].id


def test_a_dedicated_endpoint_answers_at_its_own_name_alone(google):
    endpoint = google.served()
    answer = google.ask("POST", f"endpoints/{endpoint.name}:predict", json={"instances": [1]})
    assert answer.status_code == 400
    assert endpoint.dedicated_endpoint_dns in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Host": "evil.example"}, "{name}:predict", 403),
        ({"Origin": "http://evil.example"}, "{name}:predict", 403),
        ({}, "{name}", 404),
        ({}, "{name}:deployModel", 404),
    ],
)
def test_at_a_dedicated_name_are_predictions_alone_and_for_no_web_page(google, headers, path, status):
    endpoint = google.endpoint()
    url = f"https://{endpoint.dedicated_endpoint_dns}/v1/{path.format(name=endpoint.resource_name)}"
    assert requests.post(url, json={"instances": [1]}, headers=headers, timeout=10).status_code == status


def test_the_local_cloud_s_status_shows_the_endpoint(google):
    endpoint = google.shared
    shown = requests.get(f"{google.url}/_local/status", timeout=10).json()["endpoints"]
    line = {"name": endpoint.display_name, "status": "1 deployed", "region": "us-central1"}
    assert any(line.items() <= one.items() for one in shown)


@pytest.mark.parametrize(("dedicated", "limit"), [(True, 100_000), (False, 15_000)])
def test_a_body_above_the_limit_is_refused_by_name(google, dedicated, limit):
    """platform-contracts: 1.5 MB shared, 10 MB dedicated; less in this test's settings."""
    endpoint = google.served(dedicated=dedicated)
    room = limit - len('{"instances": [""]}')
    assert endpoint.predict(instances=["x" * (room - 2000)]).predictions
    said = rf"The request size \(\d+ bytes\) exceeds {limit / 1e6:.3f}MB limit\."
    with pytest.raises((ValueError, exceptions.BadRequest), match=said):
        endpoint.predict(instances=["x" * (room + 1)])


def test_what_the_container_refuses_is_told_in_its_words(google):
    shared, dedicated = google.served(dedicated=False), google.served()
    with pytest.raises(exceptions.BadRequest, match="no such column"):
        shared.predict(instances=[{"status": 422, "text": "no such column"}])
    with pytest.raises(exceptions.InternalServerError, match="ValueError: boom"):
        shared.predict(instances=[{"status": 500, "text": "ValueError: boom"}])
    with pytest.raises(ValueError, match=r"(?s)Status code:400.*no such column"):
        dedicated.predict(instances=[{"status": 422, "text": "no such column"}])
    with pytest.raises(exceptions.InternalServerError, match='has no "predictions"'):
        shared.predict(instances=[{"text": "[1]"}])


def test_a_shared_endpoint_waits_a_minute_and_no_longer(google):
    """A minute is 1.5 s in this test's settings."""
    with pytest.raises(exceptions.GatewayTimeout, match=r"within 1\.5 seconds"):
        google.served(dedicated=False).predict(instances=[{"sleep": 5}])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "Invalid JSON payload"),
        (b"[]", "not a JSON object"),
        (b'{"instances": 1}', "instances of the request are required"),
        (b'{"instances": [NaN]}', "NaN is no JSON"),
        (b'{"instances": [1], "instance": 2}', 'Unknown name "instance"'),
    ],
)
def test_a_request_that_is_none_is_google_s_400(google, body, said):
    endpoint = google.shared
    answer = google.ask("POST", f"endpoints/{endpoint.name}:predict", data=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert said in answer.json()["error"]["message"]


def test_a_deployment_that_fails_says_what_the_container_said(google):
    """Rows 5 and 6 of the faults on Vertex AI: it exits, and it is not ready in time."""
    with pytest.raises(exceptions.FailedPrecondition, match=r"exited unexpectedly(.|\n)*no such weights"):
        google.served({"FAILS": "1"})
    endpoint = google.endpoint()
    with pytest.raises(exceptions.FailedPrecondition, match="never became ready"):
        model = google.model({"HEALTH_STATUS": "204"}, serving_container_deployment_timeout=1)
        endpoint.deploy(model, machine_type="n1-standard-2")
    assert endpoint.list_models() == []
    endpoint.delete()


def test_a_failed_or_undeployed_container_leaves_nothing(google):
    endpoint = google.served()
    pid = told(endpoint)["pid"]
    endpoint.undeploy_all()
    assert not is_alive(pid)
    with pytest.raises(ValueError, match="doesn't have traffic_split"):
        endpoint.predict(instances=[1])
    endpoint.delete()
    with pytest.raises(exceptions.NotFound):
        _ = aiplatform.Endpoint(endpoint.resource_name).display_name


def test_replicas_are_processes_and_their_number_can_be_changed(google):
    endpoint = google.endpoint()
    endpoint.deploy(google.model(), machine_type="n1-standard-2", min_replica_count=2, max_replica_count=3)
    pids = {told(endpoint)["pid"] for _ in range(40)}
    assert len(pids) == 2
    (deployed,) = endpoint.list_models()
    body = {
        "deployedModel": {
            "id": deployed.id,
            "dedicatedResources": {"minReplicaCount": 1, "maxReplicaCount": 1},
        },
        "updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount",
    }
    answer = google.ask("POST", f"endpoints/{endpoint.name}:mutateDeployedModel", json=body)
    assert answer.status_code == 200, answer.text
    until(lambda: sum(map(is_alive, pids)) == 1)
    assert told(endpoint)["pid"] in pids


def test_traffic_is_split_by_version_and_moved(google):
    endpoint = google.served({"VERSION": "1"})
    model = aiplatform.Model(endpoint.list_models()[0].model)
    second = google.model({"VERSION": "2"}, parent_model=model.resource_name)
    endpoint.deploy(second, machine_type="n1-standard-2", traffic_percentage=50)
    versions = [told(endpoint)["environment"]["VERSION"] for _ in range(60)]
    assert 5 < versions.count("1") < 55
    first_id, second_id = [one.id for one in endpoint.list_models()]
    endpoint.update(traffic_split={first_id: 0, second_id: 100})
    assert {told(endpoint)["environment"]["VERSION"] for _ in range(20)} == {"2"}
    endpoint.undeploy(first_id)
    assert endpoint.traffic_split == {second_id: 100}


def test_no_request_fails_while_the_old_version_leaves_and_the_new_one_serves(google):
    endpoint = google.served()
    (old,) = endpoint.list_models()
    endpoint.deploy(google.model(), machine_type="n1-standard-2", traffic_percentage=0)
    new = next(one.id for one in endpoint.list_models() if one.id != old.id)
    url = f"https://{endpoint.dedicated_endpoint_dns}/v1/{endpoint.resource_name}:predict"
    done, statuses = threading.Event(), []

    def call():
        with requests.Session() as session:
            while not done.is_set():
                body = {"instances": [{"sleep": 0.02}]}
                statuses.append(session.post(url, json=body, timeout=20).status_code)

    def more():
        enough = len(statuses) + 12
        until(lambda: len(statuses) > enough)

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call) for _ in range(4)]
        try:
            more()
            endpoint.update(traffic_split={new: 100, old.id: 0})
            endpoint.undeploy(old.id)
            more()
        finally:
            done.set()
    assert [one.exception() for one in calls] == [None] * 4
    assert set(statuses) == {200}


def test_a_model_with_traffic_is_not_undeployed_from_beside_another(google):
    endpoint = google.served()
    endpoint.deploy(google.model(), machine_type="n1-standard-2", traffic_percentage=50)
    first = endpoint.list_models()[0].id
    answer = google.ask("POST", f"endpoints/{endpoint.name}:undeployModel", json={"deployedModelId": first})
    assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"
    assert "has traffic" in answer.json()["error"]["message"]


def test_an_endpoint_with_a_model_on_it_is_not_deleted(google):
    endpoint = google.served()
    with pytest.raises(exceptions.BadRequest, match=r"deployed or being-deployed DeployedModel\(s\)"):
        endpoint.delete()
    endpoint.delete(force=True)


def test_a_container_that_dies_is_started_again(google):
    """Row 10 of the faults on Vertex AI, for all of a container."""
    endpoint = google.served()
    pid = told(endpoint)["pid"]
    with pytest.raises(ValueError, match="broke before its answer was whole"):
        endpoint.predict(instances=[{"die": True}])

    def another():
        try:
            return told(endpoint)["pid"] != pid
        except ValueError as error:
            assert "Status code:503" in str(error)
            return False

    until(another)


def test_four_missed_health_checks_stop_traffic_without_a_restart(google):
    """platform-contracts: four misses in a row stop traffic without a restart."""
    endpoint = google.served()
    pid = told(endpoint)["pid"]
    endpoint.predict(instances=[{"sick": True}])

    def refused():
        try:
            return not told(endpoint)
        except ValueError as error:
            return "not healthy" in str(error)

    until(refused)
    assert is_alive(pid)


def test_a_deployment_takes_its_time_and_can_be_cancelled(google):
    endpoint, model = google.endpoint(), google.model({"START_S": "30"})
    deployed = {
        "model": model.resource_name,
        "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1},
    }
    body = {"deployedModel": deployed, "trafficSplit": {"0": 100}}
    operation = google.ask("POST", f"endpoints/{endpoint.name}:deployModel", json=body).json()
    assert "done" not in operation
    path = operation["name"].partition(f"{endpoint.resource_name.rpartition('/')[0]}/")[2]
    path = f"endpoints/{path}" if not path.startswith("endpoints/") else path
    assert "done" not in google.ask("POST", f"{path}:wait?timeout=0.1s").json()
    assert google.ask("POST", f"{path}:cancel").json() == {}
    ended = google.ask("POST", f"{path}:wait?timeout=10s").json()
    assert ended["error"]["code"] == 1, json.dumps(ended)
    assert endpoint.list_models() == []
    endpoint.delete()


def test_lists_take_filters_and_pages(google):
    name, label = google.name("listed"), google.name("label")
    made = [aiplatform.Endpoint.create(display_name=name, labels={"kind": label}) for _ in range(3)]
    expected = sorted(one.resource_name for one in made)
    assert (
        sorted(one.resource_name for one in aiplatform.Endpoint.list(filter=f'display_name="{name}"'))
        == expected
    )
    found = aiplatform.Endpoint.list(filter=f"labels.kind={label}", order_by="create_time")
    assert [one.resource_name for one in found] == [one.resource_name for one in made]
    assert aiplatform.Endpoint.list(filter=f'display_name="{name}" AND labels.kind=other') == []
    page = google.ask("GET", f"endpoints?pageSize=2&filter=display_name%3D%22{name}%22").json()
    rest = google.ask(
        "GET", f"endpoints?pageSize=2&filter=display_name%3D%22{name}%22&pageToken={page['nextPageToken']}"
    ).json()
    assert [len(page["endpoints"]), len(rest["endpoints"]), "nextPageToken" in rest] == [2, 1, False]
    assert google.ask("GET", "endpoints?filter=display_name").json()["error"]["status"] == "INVALID_ARGUMENT"


def test_an_unknown_field_is_the_400_that_google_sends(google):
    answer = google.ask("POST", "endpoints", json={"displayNam": "x"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert "Unknown name \"displayNam\" at 'endpoint': Cannot find field." in error["message"]
    assert error["details"][0]["fieldViolations"][0]["field"] == "endpoint"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("projects/slipway-tests/locations/mars-north1", "locations/mars-north1"),
        ("projects/UPPER/locations/us-central1", '"UPPER" is no project'),
    ],
)
def test_a_wrong_project_or_region_is_denied(google, place, said):
    answer = requests.get(f"{google.url}/v1/{place}/endpoints", timeout=10)
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert said in answer.json()["error"]["message"]
