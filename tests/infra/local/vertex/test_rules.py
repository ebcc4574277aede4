"""What is decided without a server: names, filters, traffic, preconditions, a container's command."""

from pathlib import Path

import pytest

from infra.local.settings import Settings
from infra.local.vertex import listing, names, payloads, preconditions, traffic
from infra.local.vertex.api import path_of
from infra.local.vertex.containers import ServingSpec, argv_of, expanded, expanded_env
from infra.local.vertex.errors import GoogleError
from infra.local.vertex.images import check_image
from infra.local.vertex.objectfiles import ObjectFiles

ITEMS = [
    {"name": "p/endpoints/7", "displayName": "a", "labels": {"kit": "x"}, "createTime": "2026-01-01"},
    {"name": "p/endpoints/8", "displayName": 'b "c"', "createTime": "2026-02-01"},
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["7", "8"]),
        ('display_name="a"', ["7"]),
        ("displayName=a", ["7"]),
        (r'display_name = "b \"c\""', ["8"]),
        ("labels.kit=x", ["7"]),
        ('labels["kit"]="x" AND display_name=a', ["7"]),
        ("labels.kit:*", ["7"]),
        ("labels:kit", ["7"]),
        ('display_name:"b *"', ["8"]),
        ('display_name:"c*"', []),
        ("NOT", None),
        ("labels.kit!=x", ["8"]),
        ('create_time>="2026-01-15"', ["8"]),
        ("endpoint=8", ["8"]),
        ("display_name=a OR display_name=b", None),
        ("display_name", None),
    ],
)
def test_a_filter_takes_what_it_says_or_is_refused(text, found):
    if found is None:
        with pytest.raises(GoogleError, match="Invalid filter"):
            listing.page(ITEMS, "endpoints", {"filter": text})
    else:
        page = listing.page(ITEMS, "endpoints", {"filter": text})
        assert [one["name"].rpartition("/")[2] for one in page.get("endpoints", [])] == found


def test_pages_follow_each_other_and_a_foreign_token_is_refused():
    first = listing.page(ITEMS, "endpoints", {"pageSize": "1", "orderBy": "create_time desc"})
    second = listing.page(
        ITEMS,
        "endpoints",
        {"pageSize": "1", "orderBy": "create_time desc", "pageToken": first["nextPageToken"]},
    )
    assert [first["endpoints"][0]["name"], second["endpoints"][0]["name"]] == [
        "p/endpoints/8",
        "p/endpoints/7",
    ]
    assert "nextPageToken" not in second
    with pytest.raises(GoogleError, match="Invalid page token"):
        listing.page(ITEMS, "endpoints", {"pageToken": "?"})


def endpoint(split, *deployed):
    return {"name": "e", "trafficSplit": split, "deployedModels": [{"id": one} for one in deployed]}


def test_deploying_takes_the_traffic_that_is_asked_for_or_none():
    """DeployModelRequest.traffic_split: "0" is the model that is being deployed."""
    assert traffic.after_deploying(endpoint({}), "2", {"0": 100}) == {"2": 100}
    assert traffic.after_deploying(endpoint({"1": 100}, "1"), "2", {}) == {"1": 100}
    assert traffic.after_deploying(endpoint({"1": 100}, "1"), "2", {"0": 20, "1": 80}) == {"2": 20, "1": 80}
    for wrong in ({"0": 50}, {"0": 101, "1": -1}, {"0": 50, "9": 50}):
        with pytest.raises(GoogleError, match="traffic_split"):
            traffic.after_deploying(endpoint({"1": 100}, "1"), "2", wrong)


def test_undeploying_takes_no_model_that_has_traffic_unless_it_is_the_last():
    """UndeployModelRequest.traffic_split."""
    both = endpoint({"1": 100}, "1", "2")
    assert traffic.after_undeploying(endpoint({"1": 100}, "1"), "1", {})["trafficSplit"] == {}
    assert traffic.after_undeploying(both, "2", {})["trafficSplit"] == {"1": 100}
    assert traffic.after_undeploying(both, "1", {"2": 100})["trafficSplit"] == {"2": 100}
    with pytest.raises(GoogleError, match="has traffic"):
        traffic.after_undeploying(both, "1", {})
    with pytest.raises(GoogleError, match="is not at"):
        traffic.after_undeploying(both, "3", {})


def test_a_project_has_one_number_by_whatever_it_is_named():
    number = names.number_of("project-of-mine")
    assert len(number) == 12
    assert names.place_of("project-of-mine", "us-central1") == names.Place(
        number, "us-central1", "project-of-mine"
    )
    assert names.place_of(number, "us-central1").name == f"projects/{number}/locations/us-central1"
    assert names.canonical("projects/project-of-mine/x/y") == f"projects/{number}/x/y"


def test_a_path_is_read_in_its_parts():
    path = path_of("/v1/projects/p/locations/l/models/7@2:deleteVersion")
    assert (path.shape, path.version, path.segments) == ("models/*:deleteVersion", "2", ("models", "7"))
    assert path_of("/ui/projects/p/locations/l/endpoints/7/operations/8").shape == "endpoints/*/operations/*"
    assert path_of("/v1/projects/p/locations/l/models:upload").shape == "models:upload"
    for other in ("/v1/projects/p", "/v1/projects/p/locations/l", "/v2/projects/p/locations/l/models"):
        assert path_of(other) is None


@pytest.mark.parametrize(
    ("image", "taken"),
    [
        ("us-central1-docker.pkg.dev/p/r/i:1", True),
        ("us-docker.pkg.dev/p/r/i@sha256:00", True),
        ("gcr.io/p/i", True),
        ("eu.gcr.io/p/i:1", True),
        ("europe-west4-docker.pkg.dev/p/r/i", False),
        ("us-central1-docker.pkg.dev/p/i", False),
        ("python:3.11", False),
        ("123.dkr.ecr.us-east-1.amazonaws.com/i", False),
    ],
)
def test_images_are_taken_from_artifact_registry_in_the_region(image, taken):
    if taken:
        check_image(image, "us-central1", "image_uri")
    else:
        with pytest.raises(GoogleError, match="image"):
            check_image(image, "us-central1", "image_uri")


def test_command_and_arguments_stand_in_the_place_of_the_image_s():
    settings = Settings(container_command=("run", "it", "serve"))
    given = {"imageUri": "x"}
    assert argv_of(given, settings, {}) == ("run", "it", "serve")
    assert argv_of({**given, "args": ["$(A)"]}, settings, {"A": "b"}) == ("run", "it", "b")
    assert argv_of({**given, "command": ["c"]}, settings, {}) == ("c",)
    assert argv_of({**given, "command": ["c"], "args": ["$(A)"]}, settings, {"A": "b"}) == ("c", "b")


def test_variables_are_expanded_as_kubernetes_does():
    env = {"A": "1"}
    assert expanded("$(A) $A $(B) $$(A) $$$(A)", env) == "1 $A $(B) $(A) $1"
    entries = [{"name": "B", "value": "$(A)2"}, {"name": "C", "value": "$(B)3"}, {"name": "D"}]
    assert expanded_env(entries, env) == {"B": "12", "C": "123", "D": ""}


def test_routes_are_the_model_s_or_the_service_s():
    """platform-contracts: default routes /v1/endpoints/<E>/deployedModels/<D> and the same with :predict."""
    route = "/v1/endpoints/1/deployedModels/2"
    assert ServingSpec({}, "", route).health_route == route
    assert ServingSpec({}, "", route).predict_route == f"{route}:predict"
    own = ServingSpec({"healthRoute": "/ping", "predictRoute": "/invocations"}, "", route)
    assert (own.health_route, own.predict_route) == ("/ping", "/invocations")


@pytest.mark.parametrize(
    ("conditions", "current", "first"),
    [
        ({}, None, ""),
        ({"ifGenerationMatch": "0"}, None, ""),
        ({"ifGenerationMatch": "0"}, "5", "ifGenerationMatch"),
        ({"ifGenerationMatch": "5"}, "5", ""),
        ({"ifGenerationMatch": "5"}, None, "ifGenerationMatch"),
        ({"ifGenerationNotMatch": "5"}, "5", "ifGenerationNotMatch"),
        ({"ifGenerationNotMatch": "0"}, "5", ""),
        ({"ifMetagenerationMatch": "2"}, "5", "ifMetagenerationMatch"),
        ({"ifMetagenerationNotMatch": "2"}, "5", ""),
    ],
)
def test_a_precondition_holds_or_is_named(conditions, current, first):
    found = {"generation": current, "metageneration": "1"} if current else None
    assert preconditions.broken(conditions, found) == first


def test_a_shared_endpoint_s_request_has_no_integers_and_no_labels():
    body = payloads.shared_request(b'{"instances": [1, {"a": [2, "3"]}, true], "labels": {"a": "b"}}')
    assert body == b'{"instances": [1.0, {"a": [2.0, "3"]}, true]}'


def test_objects_of_odd_names_do_not_meet_on_disk(tmp_path: Path):
    files = ObjectFiles(tmp_path)
    for name in ("b/a", "b/a/b", "b/a//b", "b/../../x", "b/" + "x" * 1024):
        files.write_bytes(name, name.encode())
    assert all(files.read_bytes(name) == name.encode() for name in ("b/a", "b/a/b", "b/a//b", "b/../../x"))
    files.remove_tree("b")
    assert list(tmp_path.iterdir()) == []
