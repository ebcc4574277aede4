"""Asynchronous endpoints, as boto3 sees them."""

import json
import threading
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def topic_and_queue(cloud):
    """A topic of SNS, and a queue that is told of all that it is told."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="answers")["TopicArn"]
    queue = sqs.create_queue(QueueName="answers")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def served(cloud, environment=None, concurrent=2, count=1, **output):
    model, name = cloud.model(environment), cloud.name("async")
    output = {
        "S3OutputPath": f"s3://{cloud.bucket}/answers",
        "S3FailurePath": f"s3://{cloud.bucket}/failures/",
        **output,
    }
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{**cloud.variant(model), "InitialInstanceCount": count}],
        AsyncInferenceConfig={
            "OutputConfig": output,
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrent},
        },
    )
    return cloud.endpoint(name)


def asked(cloud, name, orders=None, **given):
    """InvokeEndpointAsync with these orders to the stand-in, by way of S3."""
    key = f"asked/{cloud.name()}.json"
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=json.dumps(orders or {}))
    location = f"s3://{cloud.bucket}/{key}"
    return cloud.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=location, **given)


def read(cloud, location):
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        return cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except cloud.client("s3").exceptions.NoSuchKey:
        return None


def written(cloud, location):
    return cloud.until(lambda: read(cloud, location))


def test_the_answer_is_written_where_the_request_was_told_it_would_be(cloud):
    name = served(cloud)
    accepted = asked(
        cloud,
        name,
        {"sleep": 0.3},
        ContentType="text/mine",
        Accept="text/yours",
        CustomAttributes="trace=1",
        InferenceId="id-1",
    )
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "id-1"
    assert accepted["OutputLocation"].startswith(f"s3://{cloud.bucket}/answers/")
    assert accepted["FailureLocation"].startswith(f"s3://{cloud.bucket}/failures/")
    assert read(cloud, accepted["OutputLocation"]) is None
    headers = json.loads(written(cloud, accepted["OutputLocation"]))["headers"]
    assert (headers["Content-Type"], headers["Accept"]) == ("text/mine", "text/yours")
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert read(cloud, accepted["FailureLocation"]) is None


def test_a_body_in_the_request_and_a_name_of_ones_own_are_taken(cloud):
    name = served(cloud)
    accepted = cloud.runtime.invoke_endpoint_async(
        EndpointName=name, Body=b'{"text": "inline"}', Filename="mine.json", S3OutputPathExtension="a/b"
    )
    assert accepted["OutputLocation"] == f"s3://{cloud.bucket}/answers/a/b/mine.json"
    assert written(cloud, accepted["OutputLocation"]) == "inline"
    assert accepted["InferenceId"]


def test_no_more_than_allowed_are_with_an_instance_at_once_and_the_rest_waits(cloud):
    name = served(cloud, concurrent=1)
    first, second = asked(cloud, name, {"sleep": 1}), asked(cloud, name, {})
    written(cloud, second["OutputLocation"])
    assert read(cloud, first["OutputLocation"])


def test_requests_meet_in_a_container_that_takes_several_at_once(cloud):
    name = served(cloud, concurrent=3)
    accepted = [asked(cloud, name, {"meet": True, "text": "met"}) for _ in range(3)]
    assert [written(cloud, one["OutputLocation"]) for one in accepted] == ["met"] * 3


def test_what_the_model_refuses_is_written_as_a_failure(cloud):
    name = served(cloud)
    accepted = asked(cloud, name, {"status": 400, "text": "no such column"})
    assert written(cloud, accepted["FailureLocation"]) == "no such column"
    assert read(cloud, accepted["OutputLocation"]) is None


def test_an_input_that_is_not_there_is_a_failure(cloud):
    name = served(cloud)
    accepted = cloud.runtime.invoke_endpoint_async(
        EndpointName=name, InputLocation=f"s3://{cloud.bucket}/nothing/here"
    )
    assert "does not exist" in written(cloud, accepted["FailureLocation"])


def test_a_request_has_its_own_time_limit(cloud):
    name = served(cloud)
    accepted = asked(cloud, name, {"sleep": 5}, InvocationTimeoutSeconds=1)
    assert "timed out" in written(cloud, accepted["FailureLocation"])
    longer = asked(cloud, name, {"sleep": 3.5, "text": "slow"})  # INVOCATION_TIMEOUT_S is 3 here
    assert written(cloud, longer["OutputLocation"]) == "slow"


def test_a_request_that_waits_too_long_expires(cloud):
    name = served(cloud, concurrent=1)
    asked(cloud, name, {"sleep": 2})
    late = asked(cloud, name, {}, RequestTTLSeconds=60)  # 0.6 s here
    assert "RequestTTLSeconds of 60" in written(cloud, late["FailureLocation"])


def test_answers_and_failures_are_told_by_sns(cloud, topic_and_queue):
    topic, queue = topic_and_queue
    topics = {"SuccessTopic": topic, "ErrorTopic": topic}
    told = {**topics, "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}
    name = served(cloud, NotificationConfig=told)
    good = asked(cloud, name, {"text": "fine"}, InferenceId="good")
    asked(cloud, name, {"status": 500, "text": "broken"}, InferenceId="bad")
    messages = {}

    def both():
        got = cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in got:
            message = json.loads(json.loads(one["Body"])["Message"])
            messages[message["inferenceId"]] = message
        return len(messages) == 2

    cloud.until(both)
    assert messages["good"]["invocationStatus"] == "Completed"
    assert messages["good"]["responseParameters"]["outputLocation"] == good["OutputLocation"]
    assert messages["good"]["responseBody"]["content"] == "fine"
    assert messages["bad"]["invocationStatus"] == "Failed"
    assert "broken" in messages["bad"]["failureReason"]
    assert "responseBody" not in messages["bad"]


def test_a_request_that_came_before_an_update_is_answered_after_it(cloud):
    name = served(cloud, concurrent=1)
    first = asked(cloud, name, {"sleep": 1, "text": "1"})
    second = asked(cloud, name, {"text": "2"})
    config = cloud.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert [written(cloud, one["OutputLocation"]) for one in (first, second)] == ["1", "2"]
    cloud.settled(name, "InService")


def test_describe_endpoint_shows_the_configuration(cloud):
    name = served(cloud)
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)["AsyncInferenceConfig"]
    assert described["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}
    assert described["OutputConfig"]["S3OutputPath"].endswith("/answers")


def test_each_kind_of_endpoint_is_invoked_in_its_own_way_only(cloud):
    queued, direct = served(cloud), cloud.served()
    with pytest.raises(ClientError, match="does not support InvokeEndpoint:") as caught:
        cloud.invoke(queued)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not support InvokeEndpointAsync"):
        asked(cloud, direct)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RequestTTLSeconds": 59}, "59', expected 60 to 21600"),
        ({"InvocationTimeoutSeconds": 3601}, "3601', expected 1 to 3600"),
        ({"Body": b"x"}, "Exactly one of"),
    ],
)
def test_what_the_api_does_not_take_is_refused(cloud, given, said):
    name = served(cloud)
    client = cloud.client("sagemaker-runtime", checks=False)
    with pytest.raises(ClientError, match=said):
        client.invoke_endpoint_async(EndpointName=name, InputLocation=f"s3://{cloud.bucket}/x", **given)


def test_a_larger_input_than_the_platform_takes_is_a_failure(cloud):
    name = served(cloud)
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="large", Body=b"x" * 200_001)
    location = f"s3://{cloud.bucket}/large"
    accepted = cloud.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=location)
    assert "more than 200000 bytes" in written(cloud, accepted["FailureLocation"])


def test_many_requests_at_once_are_all_answered(cloud):
    name = served(cloud, concurrent=4, count=2)
    accepted, lock = [], threading.Lock()

    def ask(number):
        one = asked(cloud, name, {"text": str(number), "sleep": 0.02})
        with lock:
            accepted.append((number, one["OutputLocation"]))

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    began = time.monotonic()
    assert sorted(int(written(cloud, place)) for _, place in accepted) == list(range(12))
    assert {int(read(cloud, place)) - number for number, place in accepted} == {0}
    assert time.monotonic() - began < 20
