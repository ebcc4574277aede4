"""Serverless endpoints, as boto3 sees them. An idle container ends after half a second here."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from waiting import is_alive

SIZE = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}


def variant(model, name="A", **config):
    return {"VariantName": name, "ModelName": model, "ServerlessConfig": {**SIZE, **config}}


def make_config(cloud, *variants, **given):
    name = cloud.name("serverless")
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **given
    )
    return name


def served(cloud, environment=None, **config):
    return cloud.endpoint(make_config(cloud, variant(cloud.model(environment), **config)))


def test_a_serverless_endpoint_answers_and_tells_its_size_and_no_instances(cloud):
    name = served(cloud)
    assert cloud.invoke(name)["model"] == ["weights.txt"]
    (line,) = cloud.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert line["CurrentServerlessConfig"] == line["DesiredServerlessConfig"] == SIZE
    assert not {"CurrentInstanceCount", "DesiredInstanceCount"} & line.keys()


def test_its_containers_end_when_idle_and_the_next_request_starts_one(cloud):
    name = served(cloud)
    first = cloud.invoke(name)["pid"]
    assert cloud.invoke(name)["pid"] == first
    cloud.until(lambda: not is_alive(first))
    again = cloud.invoke(name)["pid"]
    assert again != first


def test_provisioned_containers_stay(cloud):
    name = served(cloud, ProvisionedConcurrency=1)
    first = cloud.invoke(name)["pid"]
    time.sleep(1.2)
    assert cloud.invoke(name)["pid"] == first


def test_each_request_has_a_container_of_its_own_and_more_than_allowed_are_throttled(cloud):
    name = served(cloud)

    def call(_):
        try:
            return cloud.invoke(name, {"sleep": 1.5})["pid"]
        except ClientError as error:
            return error.response

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(call, range(3)))
    (throttled,) = [one for one in answers if isinstance(one, dict)]
    assert throttled["Error"]["Code"] == "ThrottlingException"
    assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len({one for one in answers if isinstance(one, int)}) == 2
    assert cloud.invoke(name)["pid"]


def test_four_megabytes_are_the_limit_in_and_out(cloud):
    name = served(cloud)
    with pytest.raises(ClientError) as caught:
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"x" * 50_001)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    with pytest.raises(ClientError, match="more than 50000 bytes"):
        cloud.invoke(name, {"text": "", "fill": 50_001})
    whole = cloud.runtime.invoke_endpoint(EndpointName=name, Body=b'{"text": "", "fill": 50000}')
    assert len(whole["Body"].read()) == 50_000
    assert cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"x" * 50_000)["Body"].read()


def test_a_container_that_does_not_start_in_time_fails_the_endpoint(cloud):
    config = make_config(cloud, variant(cloud.model({"START_S": "30"})))
    began = time.monotonic()
    described = cloud.settled(cloud.endpoint(config, wait=False), "Failed")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert 2 <= time.monotonic() - began < 8  # STARTUP_HEALTH_S, an instance's time, is 8 here


def test_a_cold_start_that_fails_is_told_and_the_next_request_tries_again(cloud, tmp_path):
    broken = tmp_path / "broken"
    name = served(cloud, {"FAILS_WHILE_THERE_IS": str(broken)}, MaxConcurrency=1)
    first = cloud.invoke(name)["pid"]
    cloud.until(lambda: not is_alive(first))
    broken.touch()
    with pytest.raises(ClientError) as caught:
        cloud.invoke(name)
    assert caught.value.response["Error"]["Code"] == "ModelNotReadyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    broken.unlink()
    assert cloud.invoke(name)["pid"]


def test_an_update_ends_the_old_containers_and_a_delete_all(cloud):
    name = served(cloud, {"VERSION": "old"})
    old = cloud.invoke(name)["pid"]
    config = make_config(cloud, variant(cloud.model({"VERSION": "new"})))
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    cloud.settled(name, "InService")
    seen = cloud.invoke(name)
    assert seen["environment"]["VERSION"] == "new"
    cloud.until(lambda: not is_alive(old))
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.until(lambda: not is_alive(seen["pid"]))


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"MemorySizeInMB": 1500}, "memorySizeInMB is 1500, expected one of 1024, 2048"),
        ({"MemorySizeInMB": 7168}, "less than or equal to 6144"),
        ({"MaxConcurrency": 201}, "less than or equal to 200"),
        ({"ProvisionedConcurrency": 3}, "above the maxConcurrency of 2"),
    ],
)
def test_sizes_beyond_the_platform_s_are_refused(cloud, config, said):
    one = variant(cloud.model(), **config)
    create = cloud.sagemaker.create_endpoint_config
    assert said in refused(create, EndpointConfigName="x", ProductionVariants=[one])


def test_what_serverless_endpoints_cannot_have_is_refused(cloud):
    create, model = cloud.sagemaker.create_endpoint_config, cloud.model()
    one, place = variant(model), f"s3://{cloud.bucket}/out"
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": place,
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    for given, said in (
        ({"ProductionVariants": [one, variant(model, "B")]}, "multiple production variants"),
        ({"DataCaptureConfig": capture}, "data capture"),
        ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": place}}}, "asynchronous inference"),
        ({"ProductionVariants": [{**one, "InstanceType": "ml.m5.large"}]}, "InstanceType"),
    ):
        request = {"EndpointConfigName": "x", "ProductionVariants": [one], **given}
        assert said in refused(create, **request)


def test_an_endpoint_on_instances_does_not_become_serverless_but_the_other_way_round(cloud):
    on_instances = cloud.config(cloud.model())
    serverless = make_config(cloud, variant(cloud.model()))
    name = cloud.endpoint(on_instances)
    update = cloud.sagemaker.update_endpoint
    assert "serverless" in refused(update, EndpointName=name, EndpointConfigName=serverless)
    other = cloud.endpoint(serverless)
    update(EndpointName=other, EndpointConfigName=on_instances)
    (line,) = cloud.settled(other, "InService")["ProductionVariants"]
    assert line["CurrentInstanceCount"] == 1


def test_the_variant_s_configuration_is_described_as_given(cloud):
    config = make_config(cloud, variant(cloud.model()))
    described = cloud.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert described["ProductionVariants"][0]["ServerlessConfig"] == SIZE
    assert json.dumps(described["ProductionVariants"][0]).count("InstanceType") == 0
