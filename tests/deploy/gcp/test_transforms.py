"""Batch predictions: the request as a literal, and what no other cloud has: names that are nobody's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import config
from deploy.batch.kinds import CSV, JSONLINES, PARQUET, Kind
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Remote
from deploy.gcp import batchjobs, transforms
from deploy.gcp.transforms import Served
from deploy.sections import Batch
from deploy.target import CloudError

PLACE = "projects/slipway-tests/locations/us-central1"
RUN = "0123456789ab"
OWN = Remote("gs", "slipway-tests-gcp", f"iris/batch/{RUN}/")
FILES = tuple(File(f"{name}.jsonl", 10, "digest", 1) for name in "abc")
CONTAINER = {
    "image_uri": "us-central1-docker.pkg.dev/slipway-tests/slipway/serving:1",
    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "SLIPWAY_MAX_BODY_MB", "value": "30"}],
    "ports": [{"container_port": 8080}],
    "predict_route": "/invocations",
    "health_route": "/ping",
}
SERVED = Served("gs://slipway-tests-gcp/iris/0123456789ab", CONTAINER)


@pytest.fixture
def settings(project) -> config.Config:
    place: Path = project("iris")
    return config.load(place)


def order(kind: Kind, columns: str = "", **batch: Any) -> Order:
    made = Order(RUN, "iris-a", Batch(**batch), kind, columns, FILES, OWN / "in/", OWN / "out/")
    return replace(made, number=2, names=("a.jsonl", "c.jsonl"))


def test_a_job_on_lines_is_this_request(settings):
    assert transforms.request(settings, order(Kind(JSONLINES)), SERVED) == {
        "display_name": f"iris-{RUN}-2",
        "unmanaged_container_model": {
            "artifact_uri": "gs://slipway-tests-gcp/iris/0123456789ab",
            "container_spec": {
                **CONTAINER,
                "env": [
                    {"name": "LOG_LEVEL", "value": "info"},
                    {"name": "SLIPWAY_MAX_BODY_MB", "value": "1024"},
                    {"name": "SLIPWAY_BATCH", "value": "true"},
                    {"name": "SLIPWAY_BATCH_RECORDS", "value": "application/jsonlines"},
                    {"name": "SLIPWAY_BATCH_ACCEPT", "value": "application/jsonlines"},
                    {"name": "SLIPWAY_BATCH_ON_ERROR", "value": "keep"},
                ],
            },
        },
        "input_config": {
            "instances_format": "jsonl",
            "gcs_source": {"uris": [f"{OWN}in/0.jsonl", f"{OWN}in/2.jsonl"]},
        },
        "instance_config": {"instance_type": "object", "key_field": "key"},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": f"{OWN}job-2/results"},
        },
        "dedicated_resources": {
            "machine_spec": {"machine_type": "n2-standard-2"},
            "starting_replica_count": 1,
            "max_replica_count": 1,
        },
        "manual_batch_tuning_parameters": {"batch_size": 64},
        "labels": {"slipway-deployment": "iris", "slipway-batch": RUN},
    }


def test_rows_that_are_joined_and_what_is_said_of_machines(settings):
    said = {"machine_type": "n2-standard-8", "instance_count": 3, "batch_size": 7, "join": "input"}
    account = "serving@slipway-tests.iam.gserviceaccount.com"
    gcp = settings.gcp.model_copy(update={"service_account": account})
    wanted = order(Kind(CSV, gzipped=True), "x,y", header="strip", **said)
    asked = transforms.request(settings.model_copy(update={"gcp": gcp}), wanted, SERVED)
    env = {one["name"]: one["value"] for one in asked["unmanaged_container_model"]["container_spec"]["env"]}
    assert env["SLIPWAY_BATCH_HEADER"] == "x,y" and env["SLIPWAY_BATCH_JOIN"] == "input"
    assert env["SLIPWAY_BATCH_ACCEPT"] == env["SLIPWAY_BATCH_RECORDS"] == "text/csv"
    resources = {"starting_replica_count": 3, "max_replica_count": 3}
    machine = {"machine_spec": {"machine_type": "n2-standard-8"}}
    assert asked["dedicated_resources"] == machine | resources
    assert asked["manual_batch_tuning_parameters"] == {"batch_size": 7}
    assert asked["service_account"] == account
    assert transforms.machines(settings, wanted.settings) == "3 x n2-standard-8"


def test_parquet_files_are_listed_and_go_one_at_a_time(settings):
    asked = transforms.request(settings, order(Kind(PARQUET), batch_size=9), SERVED)
    uris = [f"{OWN}job-2/files.txt"]
    assert asked["input_config"] == {"instances_format": "file-list", "gcs_source": {"uris": uris}}
    assert "instance_config" not in asked
    assert asked["manual_batch_tuning_parameters"] == {"batch_size": 1}


@pytest.mark.parametrize("name", ["input_filter", "output_filter"])
def test_filters_are_refused_by_name(name):
    with pytest.raises(BatchError, match=rf"^\[batch\] {name} is SageMaker's, and Vertex AI has none: take"):
        transforms.check_settings(Batch(**{name: "$[1:]"}), Kind(CSV))
    transforms.check_settings(Batch(join="input", retries=1, max_concurrent=2), Kind(CSV))


@pytest.fixture
def asked(cloud, settings):
    """A job that could be created; whatever comes of it has ended after."""
    cloud.storage.put(cloud.uri("objects/a.jsonl"), '{"key": "0:0", "record": "1"}\n')
    wanted = transforms.request(settings, order(Kind(JSONLINES)), Served("gs://none/none", CONTAINER))
    wanted["input_config"]["gcs_source"]["uris"] = [cloud.uri("objects/a.jsonl")]
    yield wanted
    cloud.storage.remove(cloud.uri("objects/"))
    transforms.end(settings, wanted["display_name"])


def test_of_two_commands_that_start_a_job_at_once_the_second_joins_the_first(cloud, settings, asked):
    run = f"{RUN[:-1]}c"
    asked["display_name"] = f"iris-{run}-1"
    first = batchjobs.create(settings, asked)
    second = batchjobs.create(settings, asked)
    assert first.name == second.name
    (job,) = transforms.jobs(settings, run)
    assert (job.name, job.id) == (f"iris-{run}-1", first.name)
    there = cloud.jobs.list_batch_prediction_jobs(parent=PLACE)
    others = [one for one in there if one.display_name == job.name and one.name != first.name]
    assert [one.state.name for one in others] in (["JOB_STATE_CANCELLING"], ["JOB_STATE_CANCELLED"])


def test_a_job_of_that_name_without_our_label_is_somebody_else_s(cloud, settings, asked):
    run = f"{RUN[:-1]}d"
    asked = asked | {"display_name": f"iris-{run}-1", "labels": {"slipway-deployment": "iris-big"}}
    batchjobs.create(settings, asked)
    with pytest.raises(CloudError, match=f"'iris-{run}-1' is there already and is not this deployment's"):
        transforms.jobs(settings, run)
    assert transforms.jobs(settings, RUN[:-1]) == []


def test_a_job_that_has_ended_may_be_asked_to_stop(settings, asked):
    made = batchjobs.told(batchjobs.create(settings, asked))
    transforms.end(settings, made.name)
    transforms.stop(settings, made)
    assert transforms.look(settings, made).state in {"Stopped", "Failed"}
    transforms.end(settings, "iris-0123456789ab-9")


def test_reasons_are_told_as_they_were_gathered(cloud, settings, asked):
    made = batchjobs.told(batchjobs.create(settings, asked))
    place = cloud.uri(f"iris/batch/{RUN}/job-2/gathered.json")
    cloud.storage.put(place, json.dumps({"a.jsonl": "too warm"}))
    why, _ = transforms.printed(settings, order(Kind(JSONLINES)), made)
    cloud.storage.remove(place)
    assert why == {"a.jsonl": "too warm"}
    assert transforms.printed(settings, order(Kind(JSONLINES)), made)[0] == {}
