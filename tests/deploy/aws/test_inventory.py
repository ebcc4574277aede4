"""What is there in an account, whose it is, and what is told or left alone of it."""

import os
from typing import Any

import pytest

BUCKET = "slipway-tests"


def test_destroy_ends_uploads_that_were_cut_off_and_no_others(iris, deploy, local_cloud):
    s3 = local_cloud.client("s3")
    ours, other = "iris/0123456789ab/model.tar.gz", "iris/0123456789ab/notes.txt"
    for key in (ours, other):
        s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert deploy(iris, "destroy", "--yes") == 0
    left = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [upload["Key"] for upload in left] == [other]
    s3.abort_multipart_upload(Bucket=BUCKET, Key=other, UploadId=left[0]["UploadId"])


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
