"""Data capture, as boto3 sees it. What takes SageMaker a minute takes 0.6 s here."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from infra.local.sagemaker.capturing import Captured, Message, line_of, name_of
from infra.local.sagemaker.options import Capture

NOW = datetime(2026, 11, 22, 3, 4, 5, 67_000, tzinfo=UTC)


def served(cloud, percentage=100, modes=("Input", "Output"), **given):
    model, name = cloud.model(), cloud.name("captured")
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[cloud.variant(model)],
        DataCaptureConfig={
            "InitialSamplingPercentage": percentage,
            "DestinationS3Uri": f"s3://{cloud.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
            **given,
        },
    )
    return cloud.endpoint(name)


def files(cloud, name):
    listed = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix=f"capture/{name}/")
    return [one["Key"] for one in listed.get("Contents", ())]


def lines(cloud, name):
    bodies = [
        cloud.client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read()
        for key in files(cloud, name)
    ]
    return [json.loads(line) for body in bodies for line in body.decode().splitlines()]


def test_requests_and_answers_are_lines_in_s3_by_variant_and_hour(cloud):
    types = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    name = served(cloud, CaptureContentTypeHeader=types)
    orders = {"text": "0.5,1\n", "headers": {"Content-Type": "text/csv; charset=utf-8"}}
    cloud.invoke(name, {"text": "1"}, ContentType="application/octet-stream")
    cloud.runtime.invoke_endpoint(
        EndpointName=name, Body=json.dumps(orders), ContentType="application/json", InferenceId="id-7"
    )
    captured = cloud.until(lambda: (got := lines(cloud, name)) and len(got) == 2 and got)
    by_id = {line["eventMetadata"].get("inferenceId"): line for line in captured}
    assert by_id["id-7"]["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": json.dumps(orders),
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": "0.5,1\n",
            "encoding": "CSV",
        },
    }
    unknown = by_id[None]["captureData"]["endpointInput"]
    assert unknown["encoding"] == "BASE64"
    assert base64.b64decode(unknown["data"]) == b'{"text": "1"}'
    assert by_id["id-7"]["eventVersion"] == "0"
    form = rf"capture/{name}/A/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl"
    assert all(re.fullmatch(form, key) for key in files(cloud, name))


def test_only_what_is_asked_for_and_only_a_sample_is_captured(cloud):
    nothing, half = served(cloud, percentage=0), served(cloud, percentage=50, modes=["Input"])
    for _ in range(40):
        cloud.invoke(nothing)
        cloud.invoke(half)
    cloud.until(lambda: lines(cloud, half))
    cloud.until(lambda: 5 <= len(lines(cloud, half)) <= 35)
    assert {tuple(line["captureData"]) for line in lines(cloud, half)} == {("endpointInput",)}
    assert files(cloud, nothing) == []


def test_describe_endpoint_says_that_capture_is_on_and_nothing_where_it_is_off(cloud):
    on = cloud.sagemaker.describe_endpoint(EndpointName=served(cloud, percentage=7))
    assert on["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 7,
        "DestinationS3Uri": f"s3://{cloud.bucket}/capture",
        "KmsKeyId": "",
    }
    off = cloud.sagemaker.describe_endpoint(EndpointName=served(cloud, EnableCapture=False))
    assert "DataCaptureConfig" not in off


def test_what_is_captured_is_retained_with_the_variants_properties_unless_excluded(cloud):
    name, plain = served(cloud), cloud.config(cloud.model())
    update = {"EndpointName": name, "EndpointConfigName": plain, "RetainAllVariantProperties": True}
    cloud.sagemaker.update_endpoint(**update)
    assert "DataCaptureConfig" in cloud.settled(name, "InService")
    excluded = [{"VariantPropertyType": "DataCaptureConfig"}]
    cloud.sagemaker.update_endpoint(**update, ExcludeRetainedVariantProperties=excluded)
    assert "DataCaptureConfig" not in cloud.settled(name, "InService")


def test_an_endpoint_with_data_capture_has_no_deployment_guardrails(cloud):
    """Source: developer guide, deployment-guardrails-exclusions."""
    name = served(cloud)
    config = cloud.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": 3600,
    }
    cloud.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=config,
        DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
    )
    cloud.settled(name, "InService")


def test_a_file_s_name_is_its_hour_and_its_moment():
    assert name_of(NOW, "u") == "2026/11/22/03/04-05-067-u.jsonl"


@pytest.mark.parametrize("modes", [{"Input"}, {"Output"}, {"Input", "Output"}])
def test_a_line_has_the_sides_asked_for(modes):
    capture = Capture(100, "s3://b/p", frozenset(modes), json=frozenset({"application/json"}))
    captured = Captured("A", Message(b"{}", "application/json"), Message(b"\xff", "application/json"))
    line = json.loads(line_of(capture, captured, NOW))
    sides = {"Input": "endpointInput", "Output": "endpointOutput"}
    assert set(line["captureData"]) == {sides[mode] for mode in modes}
    assert line["eventMetadata"]["inferenceTime"] == "2026-11-22T03:04:05Z"
    if "Output" in modes:
        assert line["captureData"]["endpointOutput"]["encoding"] == "BASE64"  # no text
