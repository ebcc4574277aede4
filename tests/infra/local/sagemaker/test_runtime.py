"""The data plane, as boto3 sees it."""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from botocore.exceptions import ClientError, EventStreamError

GROUP = "/aws/sagemaker/Endpoints/"


@pytest.fixture(scope="module")
def name(cloud):
    return cloud.served()


def failure(cloud, name, body=None, **given):
    """The error's whole response."""
    with pytest.raises(ClientError) as caught:
        cloud.invoke(name, body, **given)
    return caught.value.response


def model_error(cloud, name, body, status):
    response = failure(cloud, name, body)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert response["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}{name}"
    return response


def test_the_headers_that_invoke_endpoint_carries_reach_the_container(cloud, name):
    seen = cloud.invoke(
        name,
        ContentType="application/json",
        Accept="text/csv",
        CustomAttributes="trace=1;  kept verbatim",
        InferenceId="id-1",
        SessionId="session-1",
        TargetVariant="A",
    )
    got = {key: value for key, value in seen["headers"].items() if key not in ("Host", "Content-Length")}
    assert got == {
        "Content-Type": "application/json",
        "Accept": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1;  kept verbatim",
        "X-Amzn-SageMaker-Inference-Id": "id-1",
        "X-Amzn-SageMaker-Session-Id": "session-1",
        "X-Amzn-SageMaker-Target-Variant": "A",
    }


def test_every_other_header_is_stripped(cloud, name):
    request = urllib.request.Request(
        f"{cloud.url}/endpoints/{name}/invocations",
        data=b"{}",
        headers={"X-Mine": "1", "Cookie": "a=b", "Content-Type": "application/json", "User-Agent": "me"},
    )
    with urllib.request.urlopen(request) as answer:
        headers = json.load(answer)["headers"]
    assert set(headers) == {"Host", "Content-Length", "Content-Type"}


def test_the_answer_carries_content_type_variant_and_custom_attributes_and_nothing_else(cloud, name):
    back = {
        "Content-Type": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "from the model",
        "X-Mine": "1",
        "Set-Cookie": "a=b",
    }
    answer = cloud.runtime.invoke_endpoint(
        EndpointName=name, Body=json.dumps({"text": "1,2", "headers": back})
    )
    assert (answer["ContentType"], answer["Body"].read()) == ("text/csv", b"1,2")
    assert answer["CustomAttributes"] == "from the model"
    assert answer["InvokedProductionVariant"] == "A"
    assert not {"x-mine", "set-cookie"} & answer["ResponseMetadata"]["HTTPHeaders"].keys()


def test_custom_attributes_are_at_most_1024_ascii_characters(cloud, name):
    assert cloud.invoke(name, CustomAttributes="a" * 1024)["size"]
    response = failure(cloud, name, CustomAttributes="a" * 1025)
    assert response["Error"]["Code"] == "ValidationError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"]["Message"] == (
        "1 validation error detected: Value at 'customAttributes' failed to satisfy constraint: "
        "Member must have length less than or equal to 1024"
    )


def test_inference_id_is_at_most_64_and_session_id_at_most_256(cloud, name):
    assert "inferenceId" in failure(cloud, name, InferenceId="a" * 65)["Error"]["Message"]
    assert "sessionId" in failure(cloud, name, SessionId="a" * 257)["Error"]["Message"]


def test_a_target_model_is_refused(cloud, name):
    response = failure(cloud, name, TargetModel="a.tar.gz")
    assert response["Error"]["Message"] == (
        f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
    )


def test_an_unknown_endpoint_is_a_validation_error(cloud):
    response = failure(cloud, "nobody")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 123456789012 not found.",
    }


def test_an_endpoint_that_is_created_or_failed_is_not_found(cloud):
    name = cloud.endpoint(cloud.config(cloud.model({"START_S": "0.5", "FAILS_SECOND_TIME": "1"})), wait=False)
    assert failure(cloud, name)["Error"]["Message"].endswith("not found.")
    cloud.settled(name, "InService")
    failed = cloud.endpoint(cloud.config(cloud.model({"FAILS": "1"})), wait=False)
    cloud.settled(failed, "Failed")
    assert failure(cloud, failed)["Error"]["Message"].endswith("not found.")


def test_a_payload_over_the_limit_is_answered_413(cloud, name):
    assert cloud.invoke(name, {"pad": "x" * 99_000})["size"] > 99_000
    response = failure(cloud, name, {"pad": "x" * 100_001})
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert response["Error"]["Code"] == "413"
    assert response["Error"]["Message"] == "HTTP content length exceeded 100000 bytes."


def test_a_chunked_payload_over_the_limit_is_answered_413(cloud, name):
    chunks = (b"x" * 10_000 for _ in range(20))
    request = urllib.request.Request(f"{cloud.url}/endpoints/{name}/invocations", data=chunks, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.status == 413
    caught.value.close()


def test_a_server_error_of_the_container_is_model_error_424_in_its_exact_shape(cloud, name):
    response = model_error(cloud, name, {"status": 500, "text": 'it said "no"'}, 500)
    assert response["Error"]["Message"] == (
        'Received server error (500) from primary with message "it said "no"". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
        f"group={GROUP}{name} in account 123456789012 for more information."
    )
    assert response["OriginalMessage"] == 'it said "no"'


def test_a_client_error_of_the_container_says_so(cloud, name):
    response = model_error(cloud, name, {"status": 400, "text": "row 3"}, 400)
    assert response["Error"]["Message"].startswith(
        'Received client error (400) from primary with message "row 3"'
    )


def test_a_long_error_is_cut(cloud, name):
    response = model_error(cloud, name, {"status": 503, "text": "x" * 5000}, 503)
    assert len(response["OriginalMessage"]) == len(response["Error"]["Message"]) == 2048
    assert response["Error"]["Message"].endswith("for more information.")


def test_an_invocation_over_its_time_is_model_error_with_status_0(cloud, name):
    """Row 8 of the faults: the error's shape. What becomes of our own worker: test_kit_faults.py."""
    response = model_error(cloud, name, {"sleep": 4.5}, 0)
    said = (
        "Your invocation timed out while waiting for a response from container primary. Review the latency "
        "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
    )
    assert response["OriginalMessage"] == said
    assert said in response["Error"]["Message"]


def test_a_container_that_dies_in_a_request_is_model_error(cloud):
    name = cloud.served()
    response = model_error(cloud, name, {"die": True}, 0)
    assert "broke before its answer was whole" in response["OriginalMessage"]


def test_an_endpoint_of_which_no_container_answers_is_unavailable_and_stays_in_service(cloud):
    name = cloud.served(FAILS_SECOND_TIME="1")
    model_error(cloud, name, {"die": True}, 0)
    assert cloud.until(lambda: "ServiceUnavailable" in failure(cloud, name)["Error"]["Code"])
    assert failure(cloud, name)["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert cloud.settled(name, "InService")


def test_a_container_whose_ping_fails_gets_no_traffic(cloud):
    """Row 7 of the faults, of a container that served before: its /ping hangs."""
    name = cloud.endpoint(cloud.config(cloud.model(), InitialInstanceCount=2))
    sick = cloud.invoke(name, {"sick": True})["pid"]
    time.sleep(1.2)
    assert sick not in {cloud.invoke(name)["pid"] for _ in range(20)}


def test_traffic_goes_by_the_variants_weights_and_target_variant_overrides_them(cloud):
    models = [cloud.model({"VERSION": version}) for version in "ab"]
    weights = [9, 1]
    config = cloud.name("weighted")
    variants = [
        {
            "VariantName": one.upper(),
            "ModelName": model,
            "InstanceType": "ml.m7i.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for one, model, weight in zip("ab", models, weights, strict=True)
    ]
    cloud.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
    name = cloud.endpoint(config)
    drawn = Counter(cloud.invoke(name)["answer"]["InvokedProductionVariant"] for _ in range(100))
    assert 70 < drawn["A"] < 100
    seen = cloud.invoke(name, TargetVariant="B")
    assert (seen["environment"]["VERSION"], seen["answer"]["InvokedProductionVariant"]) == ("b", "B")
    response = failure(cloud, name, TargetVariant="C")
    assert response["Error"]["Code"] == "ValidationError"
    assert "Variant C" in response["Error"]["Message"]


def test_requests_of_several_callers_are_with_the_container_at_once(cloud, name):
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: cloud.invoke(name, {"meet": True}), range(3)))
    assert len({answer["pid"] for answer in answers}) == 1


def test_a_stream_passes_the_container_s_parts_as_they_come(cloud, name):
    answer = cloud.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps({"stream": 5}), Accept="text/plain", CustomAttributes="x"
    )
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/plain", "A")
    with closing(answer["Body"]) as body:
        parts = [event["PayloadPart"]["Bytes"] for event in body]
    assert b"".join(parts) == b"part 0;part 1;part 2;part 3;part 4;"
    assert len(parts) > 1


def test_a_stream_that_breaks_is_a_model_stream_error(cloud):
    name = cloud.served()
    answer = cloud.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps({"stream": 2, "break": True})
    )
    with closing(answer["Body"]) as body, pytest.raises(EventStreamError, match="broke"):
        list(body)


def test_a_stream_over_its_time_is_a_model_stream_error(cloud, name):
    answer = cloud.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps({"stream": 100})
    )
    with closing(answer["Body"]) as body, pytest.raises(EventStreamError, match="timed out"):
        list(body)


def test_an_error_before_the_stream_begins_is_a_model_error(cloud, name):
    with pytest.raises(ClientError) as caught:
        cloud.runtime.invoke_endpoint_with_response_stream(
            EndpointName=name, Body=json.dumps({"status": 500, "text": "no"})
        )
    assert caught.value.response["Error"]["Code"] == "ModelError"
