"""The request for a transform job: a literal beside each decision."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import config
from deploy.aws import transforms
from deploy.batch.kinds import CSV, JSONLINES, PARQUET, Kind
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Remote
from deploy.config import Config
from deploy.sections import Batch

RUN = "0123456789ab"
OWN = Remote("s3", "slipway-tests", f"iris/batch/{RUN}/")


@pytest.fixture
def settings(project) -> Config:
    place: Path = project("iris")
    return config.load(place)


def order(kind: Kind, header: str = "", largest: int = 10, **batch: Any) -> Order:
    files = (File("a.jsonl", largest, "digest", 1),)
    return Order(RUN, "iris-a", Batch(**batch), kind, header, files, OWN / "in/", OWN / "out/", number=2)


def test_a_job_on_lines_is_this_request(settings):
    assert transforms.request(settings, order(Kind(JSONLINES))) == {
        "TransformJobName": f"iris-{RUN}-2",
        "ModelName": "iris-a",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "ManifestFile",
                    "S3Uri": f"s3://slipway-tests/iris/batch/{RUN}/manifest-2.json",
                }
            },
            "ContentType": "application/jsonlines",
            "CompressionType": "None",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://slipway-tests/iris/batch/{RUN}/out",
            "Accept": "application/jsonlines",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": "ml.m7i.large", "InstanceCount": 1},
        "BatchStrategy": "MultiRecord",
        "Environment": {"SLIPWAY_BATCH_ON_ERROR": "fail"},
        "Tags": [
            {"Key": "slipway:deployment", "Value": "iris"},
            {"Key": "slipway:batch", "Value": RUN},
        ],
    }


def test_a_compressed_csv_with_a_header_and_its_rows_joined(settings):
    machines = {"instance_type": "ml.c7i.xlarge", "instance_count": 2}
    wanted = order(Kind(CSV, gzipped=True), "x,y", on_error="keep", join="input", **machines)
    asked = transforms.request(settings, wanted)
    assert asked["TransformInput"]["CompressionType"] == "Gzip"
    assert asked["TransformOutput"]["Accept"] == asked["TransformInput"]["ContentType"] == "text/csv"
    assert asked["TransformResources"] == {"InstanceType": "ml.c7i.xlarge", "InstanceCount": 2}
    assert asked["DataProcessing"] == {"JoinSource": "Input"}
    assert asked["TransformOutput"]["AssembleWith"] == "Line"
    assert asked["Environment"] == {
        "SLIPWAY_BATCH_ON_ERROR": "keep",
        "SLIPWAY_BATCH_HEADER": "x,y",
        "SLIPWAY_BATCH_JOIN": "input",
    }


@pytest.mark.parametrize(
    ("largest", "said", "limits"),
    [
        (10, {}, {"MaxPayloadInMB": 1, "MaxConcurrentTransforms": 16}),
        (20 * 2**20, {}, {"MaxPayloadInMB": 20, "MaxConcurrentTransforms": 5}),
        (20 * 2**20 + 1, {"max_payload_mb": 6}, {"MaxPayloadInMB": 21, "MaxConcurrentTransforms": 4}),
        (100 * 2**20, {"max_concurrent": 4}, {"MaxPayloadInMB": 100, "MaxConcurrentTransforms": 1}),
    ],
)
def test_a_parquet_file_travels_whole_and_no_more_at_once_than_the_platform_takes(
    settings, largest, said, limits
):
    asked = transforms.request(settings, order(Kind(PARQUET), largest=largest, **said))
    assert asked["TransformInput"]["SplitType"] == asked["TransformOutput"]["AssembleWith"] == "None"
    assert asked["TransformOutput"]["Accept"] == "application/jsonlines"
    assert "BatchStrategy" not in asked
    assert {key: asked[key] for key in limits} == limits


def test_what_is_said_of_limits_filters_and_patience_is_asked_for(settings):
    said = {
        "max_payload_mb": 50,
        "timeout_s": 60,
        "retries": 0,
        "input_filter": "$[1:]",
        "output_filter": "$",
    }
    asked = transforms.request(settings, order(Kind(JSONLINES), **said))
    # The container asks for as many at once as it has cores: with 50 MB each that may be too many.
    assert (asked["MaxPayloadInMB"], asked["MaxConcurrentTransforms"]) == (50, 2)
    assert asked["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 0}
    assert asked["DataProcessing"] == {"InputFilter": "$[1:]", "OutputFilter": "$"}
    asked = transforms.request(settings, order(Kind(JSONLINES), max_concurrent=3))
    assert asked["MaxConcurrentTransforms"] == 3
    assert "MaxPayloadInMB" not in asked


def test_a_whole_bucket_may_be_the_output(settings):
    wanted = order(Kind(JSONLINES))
    whole = Order(**{**vars(wanted), "output": Remote("s3", "results", "")})
    assert transforms.request(settings, whole)["TransformOutput"]["S3OutputPath"] == "s3://results"


def test_what_the_data_log_says_of_a_file_last_is_why_it_has_no_result():
    names = ("a.jsonl", "a.jsonl: b", "sub/c.jsonl", "d.jsonl")
    files = tuple(File(name, 1, "", 1) for name in names)
    wanted = replace(order(Kind(JSONLINES)), files=files)
    place = f"slipway-tests/iris/batch/{RUN}/in/"
    log = [
        "1:[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=1",
        f"1:[sagemaker logs]: {place}a.jsonl: first",
        f"2:[sagemaker logs]: {place}a.jsonl: Bad HTTP status: 400",
        f"3:[sagemaker logs]: {place}a.jsonl: b: another",
        f"4:[sagemaker logs]: {place}sub/c.jsonl: ",
        f"5:[sagemaker logs]: {place}e.jsonl: no file of this run",
    ]
    # Of two names that could be meant the shorter.
    assert transforms.reasons(log, wanted) == {"a.jsonl": "b: another"}
    assert transforms.reasons(log[:3], wanted) == {"a.jsonl": "Bad HTTP status: 400"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"input_filter": "$[1:]"}, Kind(PARQUET)),
        ({"output_filter": "$[0]", "accept": "application/jsonlines"}, Kind(CSV)),
    ],
)
def test_filters_that_sagemaker_would_refuse_are_refused_first(said, kind):
    with pytest.raises(BatchError, match=r"^\[batch\] a"):
        transforms.check_settings(Batch(**said), kind)
    transforms.check_settings(Batch(input_filter="$[1:]"), Kind(CSV))
