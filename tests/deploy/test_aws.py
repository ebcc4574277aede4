"""SageMaker over the wire: the real boto3 against the local cloud."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from deploy import aws, config
from deploy.package import Archive

BUCKET = "slipway-tests"
TAGS = [{"Key": "slipway:deployment", "Value": "iris"}]


def test_what_is_wanted_is_these_four_requests(project):
    place = project("iris")
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text + '[serving]\nmax_queue = 9\n[environment]\nLOG_LEVEL = "info"\n')
    archive = Archive(Path("build/model.tar.gz"), "0123456789ab" + "c" * 52, 1, 1)
    wanted = aws.desired(config.load(place), archive)
    role = "arn:aws:iam::123456789012:role/slipway-execution"
    container = {
        "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1",
        "ModelDataUrl": "s3://slipway-tests/iris/0123456789ab/model.tar.gz",
        "Environment": {
            "LOG_LEVEL": "info",
            "SLIPWAY_MAX_QUEUE": "9",
            "SLIPWAY_MANIFEST_SHA256": "0123456789ab" + "c" * 52,
        },
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "iris-a61542639f8d",
        "InstanceType": "ml.m7i.large",
        "InitialInstanceCount": 1,
    }
    assert [(resource.kind, resource.name, resource.params) for resource in wanted] == [
        (
            "archive",
            "iris/0123456789ab/model.tar.gz",
            {
                "Filename": "build/model.tar.gz",
                "Bucket": "slipway-tests",
                "Key": "iris/0123456789ab/model.tar.gz",
                "ExtraArgs": {"ExpectedBucketOwner": "123456789012"},
            },
        ),
        (
            "model",
            "iris-a61542639f8d",
            {
                "ModelName": "iris-a61542639f8d",
                "PrimaryContainer": container,
                "ExecutionRoleArn": role,
                "Tags": TAGS,
            },
        ),
        (
            "endpoint_config",
            "iris-2ad1b4bba3ed",
            {"EndpointConfigName": "iris-2ad1b4bba3ed", "ProductionVariants": [variant], "Tags": TAGS},
        ),
        (
            "endpoint",
            "iris",
            {"EndpointName": "iris", "EndpointConfigName": "iris-2ad1b4bba3ed", "Tags": TAGS},
        ),
    ]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (('instance_type = "ml.m7i.large"', 'instance_type = "ml.c7i.large"'), {"archive", "model"}),
        (("slipway-serving:1", "slipway-serving:2"), {"archive"}),
        (("role/slipway-execution", "role/another"), {"archive"}),
        (("[aws]", '[environment]\nA = "1"\n[aws]'), {"archive"}),
        (("[aws]", "keep_versions = 5\n[aws]"), {"archive", "model", "endpoint_config"}),
    ],
)
def test_a_changed_setting_makes_another_version_of_what_it_reaches(project, change, same):
    place = project("iris")
    archive = Archive(Path("a"), "0" * 64, 1, 1)
    before = aws.desired(config.load(place), archive)
    (place / "deploy.toml").write_text((place / "deploy.toml").read_text().replace(*change))
    after = aws.desired(config.load(place), archive)
    kept = {old.kind for old, new in zip(before, after, strict=True) if old == new}
    assert kept - {"endpoint"} == same


def test_a_deployment_s_life(iris, deploy, held, asked, weighed, local_cloud, capsys):
    assert deploy(iris) == 0
    told = capsys.readouterr().out
    assert "iris answered 2 of 2 samples" in told
    first = held("iris")
    assert len(first) == 4

    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert held("iris") == first

    weighed(iris, 3)
    assert deploy(iris, "plan") == 0
    assert re.findall(r"^  (create|update|delete) ", capsys.readouterr().out, re.MULTILINE) == [
        "create",
        "create",
        "create",
        "update",
    ]
    assert held("iris") == first
    assert deploy(iris) == 0
    assert asked("iris") == "3"
    assert len(held("iris")) == 7

    assert deploy(iris, "rollback") == 0
    assert asked("iris") == "2"
    capsys.readouterr()
    assert deploy(iris, "status") == 0
    told = capsys.readouterr().out
    assert "InService" in told and told.count("kept ") == 1

    assert deploy(iris, "logs") == 0
    assert "slipway: ready" in capsys.readouterr().out
    assert deploy(iris, "destroy", "--yes") == 0
    assert held("iris") == set()
    groups = local_cloud.client("logs").describe_log_groups(
        logGroupNamePrefix="/aws/sagemaker/Endpoints/iris"
    )
    assert groups["logGroups"] == []


def test_only_as_many_versions_are_kept_as_the_file_says(iris, deploy, held, weighed):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("[aws]", "keep_versions = 1\n\n[aws]"))
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    kinds = [thing.split()[0] for thing in held("iris")]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "archive": 2,
        "model": 2,
        "endpoint_config": 2,
        "endpoint": 1,
    }


def test_iris_and_iris_big_never_touch_one_another(iris, project, deploy, held, asked, weighed):
    big = project("iris-big", factor=5)
    assert deploy(iris) == deploy(big) == 0
    of_big = held("iris-big")
    assert deploy(weighed(iris, 3)) == 0
    assert deploy(iris, "destroy", "--yes") == 0
    assert held("iris") == set()
    assert held("iris-big") == of_big
    assert asked("iris-big") == "5"
    assert deploy(iris) == 0
    of_iris = held("iris")
    assert deploy(big, "destroy", "--yes") == 0
    assert held("iris") == of_iris
    assert asked("iris") == "3"


def test_destroy_ends_uploads_that_were_cut_off_and_no_others(iris, deploy, local_cloud):
    s3 = local_cloud.client("s3")
    ours, other = "iris/0123456789ab/model.tar.gz", "iris/0123456789ab/notes.txt"
    for key in (ours, other):
        s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert deploy(iris, "destroy", "--yes") == 0
    left = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [upload["Key"] for upload in left] == [other]
    s3.abort_multipart_upload(Bucket=BUCKET, Key=other, UploadId=left[0]["UploadId"])


def test_an_endpoint_of_somebody_else_is_left_alone(
    project, deploy, held, asked, weighed, local_cloud, capsys
):
    place = project("theirs")
    sagemaker = local_cloud.client("sagemaker")
    assert deploy(place) == 0
    arn = sagemaker.describe_endpoint(EndpointName="theirs")["EndpointArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["slipway:deployment"])
    before = held("theirs")
    capsys.readouterr()
    assert deploy(weighed(place, 3)) == 1
    assert "endpoint 'theirs' is there already and is not this deployment's" in capsys.readouterr().err
    assert held("theirs") == before
    assert asked("theirs") == "2"
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "slipway:deployment", "Value": "theirs"}])
    assert deploy(place, "destroy", "--yes") == 0


def test_models_of_somebody_else_are_not_deleted(iris, deploy, held, local_cloud, capsys):
    sagemaker = local_cloud.client("sagemaker")
    assert deploy(iris) == 0
    theirs = "iris-0123456789ab"
    made = sagemaker.list_models(NameContains="iris-")["Models"][0]["ModelName"]
    model = sagemaker.describe_model(ModelName=made)
    sagemaker.create_model(
        ModelName=theirs,
        PrimaryContainer=model["PrimaryContainer"],
        ExecutionRoleArn=model["ExecutionRoleArn"],
    )
    capsys.readouterr()
    assert deploy(iris, "destroy", "--yes") == 0
    assert f"not this deployment's, left alone: model {theirs}" in capsys.readouterr().out
    assert held("iris") == {f"model {theirs}"}
    sagemaker.delete_model(ModelName=theirs)


def test_the_log_of_an_endpoint_of_somebody_else_is_left_alone(project, deploy, local_cloud, capsys):
    place = project("theirs")
    sagemaker = local_cloud.client("sagemaker")
    group = "/aws/sagemaker/Endpoints/theirs"
    assert deploy(place) == 0
    arn = sagemaker.describe_endpoint(EndpointName="theirs")["EndpointArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["slipway:deployment"])
    assert deploy(place, "destroy", "--yes") == 0
    assert f"not this deployment's, left alone: log_group {group}" in capsys.readouterr().out
    logs = local_cloud.client("logs")
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "slipway:deployment", "Value": "theirs"}])
    assert deploy(place, "destroy", "--yes") == 0
    assert not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]


@pytest.mark.parametrize("kind", ["Model", "EndpointConfig"])
def test_what_is_deleted_while_it_is_listed_is_not_there(iris, deploy, fresh, local_cloud, kind):
    assert deploy(iris) == 0
    sagemaker = local_cloud.client("sagemaker")
    made = sagemaker.list_models(NameContains="iris-")["Models"][0]["ModelName"]
    model = sagemaker.describe_model(ModelName=made)
    passing = {"ModelName": "iris-0123456789ab", "PrimaryContainer": model["PrimaryContainer"]}
    sagemaker.create_model(**passing, ExecutionRoleArn=model["ExecutionRoleArn"])
    variant = {
        "VariantName": "v",
        "ModelName": made,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="iris-0123456789ab", ProductionVariants=[variant])

    def delete(**_: Any) -> None:
        if sagemaker.list_models(NameContains="iris-0123456789ab")["Models"] and kind == "Model":
            sagemaker.delete_model(ModelName="iris-0123456789ab")
        if sagemaker.list_endpoint_configs(NameContains="iris-0123456789ab")["EndpointConfigs"]:
            sagemaker.delete_endpoint_config(EndpointConfigName="iris-0123456789ab")

    fresh().events.register(f"after-call.sagemaker.List{kind}s", delete)
    assert deploy(iris, "plan") == 0
    fresh()
    if kind == "EndpointConfig":
        sagemaker.delete_model(ModelName="iris-0123456789ab")


def test_every_call_of_s3_names_the_account_that_must_own_the_bucket(iris, deploy, fresh, local_cloud):
    (iris / "build/model/parts.bin").write_bytes(os.urandom(9 * 1024 * 1024))  # enough for several parts
    local_cloud.client("s3").create_multipart_upload(Bucket=BUCKET, Key="iris/0123456789ab/model.tar.gz")
    owners: dict[str, set[str | None]] = {}

    def note(model: Any, params: Any, **_: Any) -> None:
        owners.setdefault(model.name, set()).add(params["headers"].get("x-amz-expected-bucket-owner"))

    fresh().events.register("before-call.s3", note)
    assert deploy(iris) == 0
    assert deploy(iris, "destroy", "--yes") == 0
    assert {"HeadBucket", "UploadPart", "DeleteObject", "AbortMultipartUpload"} <= set(owners)
    assert {name for name, found in owners.items() if found != {"123456789012"}} == set()
