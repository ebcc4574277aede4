"""What an endpoint can be told: timeout, labels, accelerators, replicas, traffic; and who may ask it."""

import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform, aiplatform_v1
from google.protobuf import duration_pb2

MACHINE = {"machine_type": "n1-standard-2"}


def client():
    return aiplatform.initializer.global_config.create_client(aiplatform.utils.EndpointClientWithOverride)


def test_a_dedicated_endpoint_waits_as_long_as_it_was_told(google):
    name = google.name("endpoint")
    endpoint = aiplatform.Endpoint.create(
        display_name=name, dedicated_endpoint_enabled=True, inference_timeout=1
    )
    endpoint.deploy(google.model(), machine_type="n1-standard-2")
    with pytest.raises(ValueError, match="did not answer within 1 seconds"):
        endpoint.predict(instances=[{"sleep": 5}])
    longer = {"inference_timeout": duration_pb2.Duration(seconds=30)}
    wanted = aiplatform_v1.Endpoint(name=endpoint.resource_name, client_connection_config=longer)
    changed = client().update_endpoint_long_running(request={"endpoint": wanted}).result(30)
    assert changed.client_connection_config.inference_timeout.total_seconds() == 30
    assert changed.display_name == name
    assert endpoint.predict(instances=[{"sleep": 1.2}]).predictions == [{"sleep": 1.2}]


@pytest.mark.parametrize("seconds", [3601, -1])
def test_a_timeout_of_more_than_an_hour_or_of_none_is_refused(google, seconds):
    config = {"clientConnectionConfig": {"inferenceTimeout": f"{seconds}s"}}
    endpoint = google.endpoint()
    for answer in (
        google.ask("POST", "endpoints", json={"displayName": "e", **config}),
        google.ask("POST", f"endpoints/{endpoint.name}:update", json={"endpoint": config}),
    ):
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
        assert "at most 3600 seconds" in answer.json()["error"]["message"]


def test_an_endpoint_is_renamed_and_labelled_and_keeps_what_was_not_named(google):
    endpoint = google.served()
    endpoint.update(display_name="another", labels={"team": "forecasts"}, description="d")
    again = aiplatform.Endpoint(endpoint.resource_name)
    assert (again.display_name, dict(again.labels)) == ("another", {"team": "forecasts"})
    assert again.traffic_split == endpoint.traffic_split
    assert again.predict(instances=[1]).predictions == [1]


@pytest.mark.parametrize(
    ("mask", "said"),
    [("", "update_mask is required"), ("client_connection_config", "not supported"), ("etag", "allowed:")],
)
def test_a_patch_changes_what_it_names_and_may_change(google, mask, said):
    endpoint = google.endpoint()
    answer = google.ask("PATCH", f"endpoints/{endpoint.name}?updateMask={mask}", json={})
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "labels",
    [{"Team": "x"}, {"1st": "x"}, {"": "x"}, {"a": "X"}, {"a": "b c"}, {"a" * 64: "x"}, {"a": "b" * 64}]
    + [{f"n{at}": "x" for at in range(65)}],
)
@pytest.mark.parametrize("collection", ["endpoints", "models:upload"])
def test_labels_are_as_google_has_them(google, collection, labels):
    body = {"displayName": "labelled", "labels": labels, "containerSpec": {"imageUri": google.image}}
    if collection == "endpoints":
        body.pop("containerSpec")
    asked = body if collection == "endpoints" else {"model": body}
    error = google.ask("POST", collection, json=asked).json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["details"][0]["fieldViolations"][0]["field"].endswith(".labels")


def test_labels_are_so_in_an_update_too(google):
    for name in (f"endpoints/{google.endpoint().name}", f"models/{google.model().name}"):
        answer = google.ask("PATCH", f"{name}?updateMask=labels", json={"labels": {"Team": "x"}})
        assert answer.json()["error"]["message"] == "Invalid label key: 'Team'."


def test_labels_may_be_empty_and_of_every_alphabet(google):
    labels = {"ключ": "значение_1", "team": "", "cost-centre": "7"}
    assert dict(google.model(labels=labels).labels) == labels


def machine(kind, accelerator, count):
    return {"machineType": kind, "acceleratorType": accelerator, "acceleratorCount": count}


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (machine("n2-standard-2", "NVIDIA_TESLA_T4", 1), '"n2-standard-2" supports no accelerators'),
        (machine("n1-standard-2", "NVIDIA_TESLA_T4", 0), "given together"),
        (machine("n1-standard-2", "ACCELERATOR_TYPE_UNSPECIFIED", 1), "given together"),
        (machine("n1-standard-2", "T4", 1), "Invalid JSON payload"),
        (machine("", "NVIDIA_TESLA_T4", 1), "machine_type of the DeployedModel is required"),
    ],
)
def test_accelerators_go_with_their_number_and_a_machine_that_takes_them(google, machine, said):
    resources = {"machineSpec": machine, "minReplicaCount": 1}
    body = {"deployedModel": {"model": google.model().resource_name, "dedicatedResources": resources}}
    error = google.ask("POST", f"endpoints/{google.endpoint().name}:deployModel", json=body).json()["error"]
    assert (error["status"], said in error["message"]) == ("INVALID_ARGUMENT", True), error


def test_a_container_knows_its_accelerator(google):
    endpoint = google.endpoint()
    accelerator = {"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
    endpoint.deploy(google.model(), machine_type="g2-standard-4", **accelerator)
    (seen,) = endpoint.predict(instances=[{"tell": True}]).predictions
    assert seen["environment"]["AIP_ACCELERATOR_TYPE"] == "NVIDIA_L4"


@pytest.mark.parametrize(("least", "most"), [(0, 1), (3, 2), (-1, 1)])
def test_replicas_have_bounds(google, least, most):
    resources = {"machineSpec": MACHINE, "minReplicaCount": least, "maxReplicaCount": most}
    body = {"deployedModel": {"model": google.model().resource_name, "dedicatedResources": resources}}
    error = google.ask("POST", f"endpoints/{google.endpoint().name}:deployModel", json=body).json()["error"]
    assert "min_replica_count must be 1 or more" in error["message"]


def test_a_prediction_is_posted_and_nothing_else(google):
    assert google.ask("GET", f"endpoints/{google.shared.name}:predict").status_code == 501
    dedicated = google.endpoint()
    url = f"https://{dedicated.dedicated_endpoint_dns}/v1/{dedicated.resource_name}:predict"
    assert requests.get(url, timeout=10).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/slipway-tests/locations/us-central1/endpoints",
        "/storage/v1/b?project=slipway-tests",
        "/computeMetadata/v1/instance/service-accounts/default/token",
        "/v2/entries:list",
    ],
)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_no_web_page_reaches_anything_of_google_s(google, path, headers, status):
    assert requests.get(google.url + path, headers=headers, timeout=10).status_code == status


def test_a_model_is_deployed_by_its_alias_and_an_unknown_one_is_refused(google):
    model = google.model({"VERSION": "one"})
    google.model({"VERSION": "two"}, parent_model=model.resource_name, version_aliases=["candidate"])
    endpoint = google.endpoint()
    endpoint.deploy(aiplatform.Model(f"{model.resource_name}@candidate"), machine_type="n1-standard-2")
    (seen,) = endpoint.predict(instances=[{"tell": True}]).predictions
    assert (seen["environment"]["VERSION"], seen["environment"]["AIP_VERSION_NAME"]) == ("two", "2")
    with pytest.raises(exceptions.NotFound, match="@nobody"):
        aiplatform.Model(f"{model.resource_name}@nobody")


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"0": 90}, "must add up to 100: 90"),
        ({"0": 50, "77": 50}, "not there: 77"),
        ({"0": 150, "1": -50}, "not there: 1"),
    ],
)
def test_traffic_that_does_not_add_up_is_refused_before_anything_starts(google, split, said):
    endpoint, model = google.endpoint(), google.model()
    resources = {"machineSpec": MACHINE, "minReplicaCount": 1}
    deployed = {"model": model.resource_name, "dedicatedResources": resources}
    body = {"deployedModel": deployed, "trafficSplit": split}
    error = google.ask("POST", f"endpoints/{endpoint.name}:deployModel", json=body).json()["error"]
    assert (error["status"], said in error["message"]) == ("INVALID_ARGUMENT", True), error
    endpoint.delete()
    model.delete()


def test_traffic_for_what_is_not_there_is_refused(google):
    endpoint = google.served()
    answer = google.ask(
        "PATCH", f"endpoints/{endpoint.name}?updateMask=trafficSplit", json={"trafficSplit": {"77": 100}}
    )
    assert "not there: 77" in answer.json()["error"]["message"]
    assert endpoint.predict(instances=[1]).predictions == [1]
