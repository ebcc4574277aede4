"""The environment, read into settings or refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.serving import settings
from inference.serving.errors import StartError
from inference.serving.settings import Artifact, Batch

PARQUET = "application/vnd.apache.parquet"


def test_an_empty_environment_is_a_container_of_sagemakers_on_this_machine_alone():
    found = settings.read({})
    assert (found.host, found.port, found.model_dir) == ("127.0.0.1", 8080, Path("/opt/ml/model"))
    assert (found.health_routes, found.predict_routes) == (("/ping",), ("/invocations",))
    assert (found.max_queue, found.max_body) == (64, 25 * 2**20)
    assert (found.header_timeout_s, found.body_timeout_s, found.drain_s) == (10, 10, 25)
    assert found.manifest_sha256 is None
    assert found.batch is None


def test_vertex_names_come_before_sagemakers():
    found = settings.read(
        {"AIP_HTTP_PORT": "7080", "SAGEMAKER_BIND_TO_PORT": "9000", "AIP_HEALTH_ROUTE": "/health"}
    )
    assert (found.port, found.health_routes) == (7080, ("/ping", "/health"))


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [
        ("gs://my-bucket/a/b", "my-bucket", "a/b/"),
        ("gs://my-bucket/a/b/", "my-bucket", "a/b/"),
        ("gs://a.b_c/", "a.b_c", ""),
        ("gs://bucket", "bucket", ""),
    ],
)
def test_an_artifact_is_a_folder_of_a_bucket(uri, bucket, prefix):
    assert settings.read({"AIP_STORAGE_URI": uri}).artifact == Artifact(uri, bucket, prefix)


def test_an_empty_artifact_uri_is_none():
    assert settings.read({"AIP_STORAGE_URI": ""}).artifact is None


def test_a_container_of_vertexs_batch_prediction_is_told_by_our_own_variable():
    found = settings.read({"SLIPWAY_BATCH": "true", "SLIPWAY_BATCH_ON_ERROR": "keep"})
    assert found.batch == Batch(keep_errors=True, header="", join=False, transforms=settings.transforms())
    assert settings.read({"SLIPWAY_BATCH": "false", "SLIPWAY_BATCH_ON_ERROR": "keep"}).batch is None


def test_a_transform_job_says_how_records_are_treated():
    found = settings.read(
        {
            "SAGEMAKER_BATCH": "true",
            "SLIPWAY_BATCH_ON_ERROR": "keep",
            "SLIPWAY_BATCH_HEADER": 'a,"b,c"',
            "SLIPWAY_BATCH_JOIN": "input",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "90",
        }
    )
    assert found.batch == Batch(keep_errors=True, header='a,"b,c"', join=True, transforms=90)
    assert (found.max_queue, found.body_timeout_s) == (90, 600)


def test_a_transform_job_that_says_nothing_fails_on_errors_and_has_no_header():
    found = settings.read({"SAGEMAKER_BATCH": "true"})
    assert found.batch == Batch(keep_errors=False, header="", join=False, transforms=settings.transforms())
    assert (found.max_queue, found.max_body) == (64, 25 * 2**20)


@pytest.mark.parametrize(
    ("records", "accept", "found"),
    [
        ("application/jsonlines", "", ("application/jsonlines", "application/jsonlines")),
        ("text/csv", "", ("text/csv", "text/csv")),
        ("text/csv", "application/jsonlines", ("text/csv", "application/jsonlines")),
        (PARQUET, "", (PARQUET, "application/jsonlines")),
        (PARQUET, "text/csv", (PARQUET, "text/csv")),
    ],
)
def test_a_batch_prediction_says_what_its_instances_carry_and_how_they_are_answered(records, accept, found):
    env = {"SLIPWAY_BATCH_RECORDS": records, "SLIPWAY_BATCH_ACCEPT": accept}
    batch = settings.read({"SLIPWAY_BATCH": "true", **env}).batch
    assert (batch.records, batch.accept) == found


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"RECORDS": "text/csv"}, "RECORDS: 'text/csv': expected SLIPWAY_BATCH=true beside it"),
        ({"ACCEPT": "text/csv"}, "ACCEPT: 'text/csv': expected SLIPWAY_BATCH_RECORDS beside it"),
    ],
)
@pytest.mark.parametrize("told", [{}, {"SAGEMAKER_BATCH": "true"}, {"SLIPWAY_BATCH": "false"}])
def test_records_without_a_batch_prediction_are_refused(env, words, told):
    with pytest.raises(StartError, match=f"^SLIPWAY_BATCH_{words}$"):
        settings.read({**told, **{f"SLIPWAY_BATCH_{name}": value for name, value in env.items()}})


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"RECORDS": "application/json"}, "RECORDS: .*; expected application/jsonlines or text/csv or "),
        ({"RECORDS": "text/csv", "ACCEPT": "application/json"}, "ACCEPT: .*; expected text/csv or "),
        ({"RECORDS": "text/csv", "ACCEPT": "application/jsonlines", "JOIN": "input"}, "JOIN: .* one form"),
        ({"RECORDS": PARQUET, "JOIN": "input"}, "JOIN: .* one form"),
    ],
)
def test_records_that_cannot_be_had_so_are_refused(env, words):
    with pytest.raises(StartError, match=f"^SLIPWAY_BATCH_{words}"):
        settings.read(
            {"SLIPWAY_BATCH": "true", **{f"SLIPWAY_BATCH_{name}": value for name, value in env.items()}}
        )


@pytest.mark.parametrize(
    ("stated", "ours", "megabytes"),
    [
        ("6", "25", 25),
        ("50", "25", 51),
        ("100", "25", 101),
        ("0", "25", 101),
        ("6", "2", 7),
        ("6", "200", 200),
    ],
)
def test_a_transform_job_raises_the_body_limit_to_what_the_platform_sends(stated, ours, megabytes):
    env = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": stated, "SLIPWAY_MAX_BODY_MB": ours}
    assert settings.read({"SAGEMAKER_BATCH": "true", **env}).max_body == megabytes * 2**20
    assert settings.read(env).max_body == int(ours) * 2**20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLIPWAY_BATCH_ON_ERROR", "ignore"),
        ("SLIPWAY_BATCH_JOIN", "output"),
        ("SLIPWAY_BATCH_HEADER", "a,,b"),
        ("SLIPWAY_BATCH_HEADER", "a,a"),
        ("SLIPWAY_BATCH_HEADER", 'a,"b'),
        ("SLIPWAY_BATCH_HEADER", "a,b\n1,2"),
        ("SLIPWAY_BATCH_HEADER", "a,b\r\n"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "101"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "many"),
    ],
)
def test_a_wrong_value_is_refused_in_a_job_and_not_looked_at_elsewhere(name, value):
    with pytest.raises(StartError, match=f"^{name}: "):
        settings.read({"SAGEMAKER_BATCH": "true", name: value})
    assert settings.read({name: value}).batch is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIP_HTTP_PORT", "eighty"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("AIP_HEALTH_ROUTE", "ping"),
        ("AIP_PREDICT_ROUTE", "/a\nb"),
        ("SLIPWAY_MAX_QUEUE", "0"),
        ("SLIPWAY_MAX_QUEUE", "1.5"),
        ("SLIPWAY_MAX_BODY_MB", "-1"),
        ("SLIPWAY_MAX_BODY_MB", "nan"),
        ("SLIPWAY_HEADER_TIMEOUT_S", "inf"),
        ("SLIPWAY_BODY_TIMEOUT_S", "0"),
        ("SLIPWAY_DRAIN_S", "soon"),
        ("SLIPWAY_MANIFEST_SHA256", "abc"),
        ("AIP_STORAGE_URI", "s3://bucket/model"),
        ("AIP_STORAGE_URI", "gs:///model"),
        ("AIP_STORAGE_URI", "gs://bucket@host/model"),
        ("AIP_STORAGE_URI", "gs://bucket/a\nb"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(name, value):
    with pytest.raises(StartError, match=f"^{name}: "):
        settings.read({name: value})


@pytest.mark.parametrize(
    ("limit", "count"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 9), ("", 9)]
)
def test_a_container_has_as_many_cores_as_its_time_is_worth(monkeypatch, tmp_path, limit, count):
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(settings, "_CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(9)))
    assert settings.cores() == count


def test_a_batch_size_that_nobody_set_is_left_to_what_was_measured():
    assert settings.read({}).max_batch_size == 0
    assert settings.read({"SLIPWAY_MAX_BATCH_SIZE": "8"}).max_batch_size == 8
    with pytest.raises(StartError, match="SLIPWAY_MAX_BATCH_SIZE: '0': expected a whole number from 1"):
        settings.read({"SLIPWAY_MAX_BATCH_SIZE": "0"})
