"""Jobs of which something fails: rows 19, 20, 22, 23 of the faults, retries, time limits, dead containers."""

import time

import pytest

PLACE = "batches-of-the-tests/in-"
CLIENT = "ClientError: See job logs for more information"
ALGORITHM = "AlgorithmError: See job logs for more information"
NO_RETRY = {"InvocationsMaxRetries": 0}


def lines_about(jobs, name, key):
    """The data log's lines about one object, after its place."""
    lines = (line.partition(f"/{key}: ") for line in jobs.data_log(name))
    return [said for place, colon, said in lines if colon and place.startswith(PLACE)]


def test_row_19_an_object_fails_alone_the_others_go_on_and_the_job_is_failed(jobs):
    url = jobs.put({"a": b"1\n", "b": b"2\nFAIL500\n", "c": b"3\n"})
    name = jobs.failed(url, ModelClientConfig=NO_RETRY)
    assert jobs.outputs(name) == {"a.out": b"1\n", "c.out": b"3\n"}
    assert jobs.ended(name)["FailureReason"] == ALGORITHM
    assert lines_about(jobs, name, "b") == ["Bad HTTP status received from algorithm: 500"]


def test_an_object_of_which_the_last_of_many_requests_fails_has_no_out(jobs):
    url = jobs.put({"a": b"1\n" * 50 + b"FAIL400\n"})
    name = jobs.failed(url, BatchStrategy="SingleRecord", MaxConcurrentTransforms=4, MaxPayloadInMB=1)
    assert jobs.outputs(name) == {}


def test_what_the_container_refuses_is_not_sent_again_and_is_the_client_s_error(jobs):
    name = jobs.failed(jobs.put({"a": b"FAIL400\n"}))
    assert len(jobs.requests(name)) == 1
    assert jobs.ended(name)["FailureReason"] == CLIENT
    assert lines_about(jobs, name, "a") == [
        "ClientError: 400",
        "",
        "Message:",
        '{"error": "row 1: no number"}',
    ]


@pytest.mark.parametrize("megabytes", [0, 6])
def test_a_refusal_before_the_body_was_read_is_heard(jobs, megabytes):
    url = jobs.put({"a": b"x" * 99 + b"\n", "b": (b"x" * 1023 + b"\n") * 5000})
    name = jobs.failed(url, {"REFUSES_UNREAD": "1"}, MaxPayloadInMB=megabytes)
    for key in ("a", "b"):
        assert lines_about(jobs, name, key) == ["ClientError: 413", "", "Message:", "too large"]


def test_row_20_a_request_that_fails_twice_is_sent_a_third_time_and_has_one_output(jobs):
    name = jobs.run(jobs.put({"a": b"FLAKY\n"}))
    assert [one["status"] for one in jobs.requests(name)] == [500, 500, 200]
    assert jobs.outputs(name) == {"a.out": b"FLAKY\n"}


def test_invocationsmaxretries_is_how_often_a_request_is_sent_again_3_by_default(jobs):
    url = jobs.put({"a": b"FAIL500\n"})
    assert len(jobs.requests(jobs.failed(url))) == 4
    assert len(jobs.requests(jobs.failed(url, ModelClientConfig={"InvocationsMaxRetries": 1}))) == 2
    assert len(jobs.requests(jobs.failed(url, ModelClientConfig=NO_RETRY))) == 1


def test_invocationstimeoutinseconds_ends_a_request(jobs):
    began = time.monotonic()
    url = jobs.put({"a": b"HANG\n", "b": b"1\n"})
    limits = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 1}
    name = jobs.failed(url, ModelClientConfig=limits)
    assert 2 <= time.monotonic() - began < 15
    assert jobs.outputs(name) == {"b.out": b"1\n"}
    assert lines_about(jobs, name, "a") == ["Unable to get response from algorithm"]
    assert jobs.ended(name)["FailureReason"] == ALGORITHM


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_row_22_a_record_over_the_limit_fails_its_object_with_its_line(jobs, strategy):
    url = jobs.put({"a": b"1\n2\n" + b"x" * 1024 * 1024 + b"y\n", "b": b"1\n"})
    name = jobs.failed(url, MaxPayloadInMB=1, BatchStrategy=strategy)
    assert jobs.outputs(name) == {"b.out": b"1\n"}
    assert lines_about(jobs, name, "a") == [
        "ClientError: Too much data for max payload size (record 3 is larger than 1 MB)"
    ]
    assert jobs.ended(name)["FailureReason"] == CLIENT


def test_row_23_other_than_as_many_answers_as_records_cannot_be_joined(jobs):
    url = jobs.put({"a": b"1\n2 DROP\n3\n", "b": b"1\n"})
    name = jobs.failed(
        url,
        {"ANSWER": "sizes"},
        TransformInput={"ContentType": "text/csv"},
        TransformOutput={"Accept": "text/csv"},
        DataProcessing={"JoinSource": "Input"},
    )
    assert jobs.outputs(name) == {"b.out": b"1,1\n"}
    (line,) = lines_about(jobs, name, "a")
    assert line.startswith("ClientError: mismatch: the algorithm answered 3 records with 2 predictions")


def test_a_record_that_cannot_be_joined_is_told_by_its_request_and_its_place_there(jobs):
    name = jobs.failed(
        jobs.put({"a": b"1\n2\n3\n{\n"}),
        BatchStrategy="SingleRecord",
        TransformInput={"ContentType": "application/jsonlines"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={"JoinSource": "Input"},
    )
    (line,) = lines_about(jobs, name, "a")
    assert line.startswith("ClientError: Failed to parse the input as JSON, record 1 of the request")
    assert line.endswith("(the request began with record 4 of the object)")


def test_without_a_join_the_number_of_answers_is_nobody_s_business(jobs):
    name = jobs.run(jobs.put({"a": b"1\n2 DROP\n3\n"}), {"ANSWER": "sizes"})
    assert jobs.outputs(name) == {"a.out": b"1\n1\n"}


def test_an_index_outside_of_what_was_joined_is_an_error(jobs):
    """API_DataProcessing, OutputFilter."""
    name = jobs.failed(
        jobs.put({"a": b"1,2\n"}),
        TransformInput={"ContentType": "text/csv"},
        DataProcessing={"OutputFilter": "$[5]"},
    )
    assert "index 5 is outside of the record's 2 values" in "".join(lines_about(jobs, name, "a"))


def test_a_container_that_died_is_started_again_and_the_request_sent_again(jobs):
    url = jobs.put({"a": b"1\n", "b": b"DIE ONCE\n", "c": b"3\n"})
    name = jobs.run(url)
    assert jobs.outputs(name) == {"a.out": b"1\n", "b.out": b"DIE ONCE\n", "c.out": b"3\n"}
    lines = [line for lines in jobs.streams(name).values() for line in lines]
    assert lines.count("batchbox listens") == 2


def test_a_record_that_always_kills_the_container_fails_its_object_alone(jobs):
    url = jobs.put({"a": b"1\n", "b": b"DIE\n", "c": b"3\n"})
    name = jobs.failed(url, ModelClientConfig={"InvocationsMaxRetries": 1})
    assert jobs.outputs(name) == {"a.out": b"1\n", "c.out": b"3\n"}
    assert lines_about(jobs, name, "b") == ["Unable to get response from algorithm"]


def test_a_container_that_cannot_be_started_again_fails_the_job_clearly(jobs):
    url = jobs.put({"a": b"DIE\n", "b": b"1\n"})
    name = jobs.failed(url, {"STAYS_DEAD": "1"}, TransformResources={"InstanceCount": 2})
    assert jobs.ended(name)["FailureReason"].startswith(
        "AlgorithmError: The model container ended during the job and could not be started again."
    )


def test_a_container_that_does_not_start_fails_the_job_with_its_words_in_the_log(jobs):
    name = jobs.failed(jobs.put({"a": b"1\n"}), {"FAILS": "1"}, TransformResources={"InstanceCount": 2})
    assert jobs.ended(name)["FailureReason"] == (
        "AlgorithmError: The model container did not pass the ping health check. "
        "Please check CloudWatch logs for this job."
    )
    assert ["no such weights"] in jobs.streams(name).values()
    assert jobs.data_log(name) == []


def test_an_archive_that_is_gone_fails_the_job(jobs):
    cloud = jobs.cloud
    url = cloud.archive(key="batch-gone/model.tar.gz")
    model = cloud.model(Image="123456789012.dkr.ecr.us-east-1.amazonaws.com/batchbox:1", ModelDataUrl=url)
    cloud.client("s3").delete_object(Bucket=cloud.bucket, Key="batch-gone/model.tar.gz")
    name = jobs.failed(jobs.put({"a": b"1\n"}), ModelName=model)
    assert jobs.ended(name)["FailureReason"].startswith("Failed to download model data for container")


def test_an_output_bucket_that_is_not_there_fails_the_job_before_anything_is_scored(jobs):
    output = {"S3OutputPath": "s3://no-such-bucket-of-anybody/out"}
    name = jobs.failed(jobs.put({"a": b"1\n"}), TransformOutput=output)
    assert "NoSuchBucket" in jobs.ended(name)["FailureReason"]
    assert jobs.streams(name) == {}
