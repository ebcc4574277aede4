"""Batch prediction by Google's own SDK: what the container gets, and what is left in the bucket.

Source of the clauses: reference "Vertex AI batch prediction", cloud.google.com/vertex-ai/docs/predictions
"""

import json
import re

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform


def submit(google, bucket, model=None, environment=None, **given):
    """A job on a stand-in model, not waited for; its resource name."""
    model = model or google.model(environment)
    job = aiplatform.BatchPredictionJob.submit(
        job_display_name="scores",
        model_name=model.versioned_resource_name,
        gcs_destination_prefix=bucket.uri("out"),
        predictions_format="jsonl",
        **{"instances_format": "jsonl", "machine_type": "n1-standard-2", **given},
    )
    return job.resource_name


def lines(*values):
    return "".join(f"{json.dumps(value)}\n" for value in values)


def test_the_sdk_waits_for_a_job_and_reads_its_output(google, bucket):
    bucket.put("in.jsonl", lines({"x": 1}, {"x": 2}))
    job = google.model().batch_predict(
        job_display_name="scores",
        gcs_source=bucket.uri("in.jsonl"),
        gcs_destination_prefix=bucket.uri("out"),
        machine_type="n1-standard-2",
    )
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert (job.completion_stats.successful_count, job.completion_stats.failed_count) == (2, 0)
    found = [line for blob in job.iter_outputs() for line in blob.download_as_text().splitlines()]
    assert sorted(found) == [f'{{"instance": {{"x": {x}}}, "prediction": {{"x": {x}}}}}' for x in (1, 2)]
    listed = aiplatform.BatchPredictionJob.list(filter='display_name="scores"')
    assert job.name in [one.name for one in listed]
    job.delete()
    with pytest.raises(exceptions.NotFound):
        aiplatform.BatchPredictionJob(job.resource_name)


def test_the_folder_is_named_after_the_model_and_the_time(google, bucket, ended):
    model = google.model()
    job = ended(submit(google, bucket, model, gcs_source=bucket.put("in.jsonl", "1\n")))
    name = job["outputInfo"]["gcsOutputDirectory"].removeprefix(bucket.uri("out/"))
    time = r"\d{4}_\d\d_\d\dT\d\d_\d\d_\d\d_\d{3}Z"
    assert re.fullmatch(rf"prediction-{re.escape(model.display_name)}-{time}", name)
    assert job["createTime"] <= job["startTime"] <= job["endTime"]
    assert job["modelVersionId"] == "1"


def test_json_lines_are_instances_verbatim_and_integers_keep_their_digits(google, bucket, ended, predicted):
    given = [2**60 + 1, 1.0, "a,b", None, [1, {"ü": "\u2028"}], {"x": True}]
    job = ended(
        submit(google, bucket, gcs_source=bucket.put("in.jsonl", lines(*given).replace("\n", "\r\n\n")))
    )
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    found, errors = predicted(job)
    assert [one["instance"] for one in found] == given
    assert [one["prediction"] for one in found] == given
    assert errors == ""
    assert job["completionStats"] == {"successfulCount": "6", "failedCount": "0"}


@pytest.mark.parametrize(
    ("tuned", "sizes"),
    [({"batch_size": 50}, [20, 50, 50]), ({}, [56, 64]), ({"machine_type": None}, [56, 64])],
)
def test_a_batch_has_the_size_that_was_asked_for_or_64(google, bucket, ended, predicted, tuned, sizes):
    """The SDK drops batch_size without a machine type, and so 64 it is."""
    text = lines(*[{"at": at} for at in range(120)])
    model = google.model({"COUNTS": "1"})
    job = ended(submit(google, bucket, model, gcs_source=bucket.put("in.jsonl", text), **tuned))
    found, _ = predicted(job)
    assert sorted(one["instance"]["at"] for one in found) == list(range(120))
    counted: dict[int, int] = {}
    for one in found:
        counted[one["prediction"]["request"]] = one["prediction"]["of"]
    assert sorted(counted.values()) == sizes


def test_every_file_that_the_uris_mean_is_read(google, bucket, ended, predicted):
    for name in ("a/1.jsonl", "a/2.jsonl", "a/deep/3.jsonl", "b.jsonl", "other.txt"):
        bucket.put(name, lines(name))
    source = [bucket.uri("a/*.jsonl"), bucket.uri("b.jsonl")]
    found, _ = predicted(ended(submit(google, bucket, gcs_source=source)))
    assert sorted(one["instance"] for one in found) == ["a/1.jsonl", "a/2.jsonl", "b.jsonl"]


def test_a_csv_row_is_an_array_whose_unquoted_numbers_are_floats(google, bucket, ended, predicted):
    text = '\ufeffa,b,"c,d"\r\n1,x,"2"\r\n-1.5e3,,"say ""hi"", you"\r\n\r\nnan,"two\nlines",0\r\n'
    job = ended(
        submit(google, bucket, gcs_source=bucket.put("in.csv", text.encode()), instances_format="csv")
    )
    found, _ = predicted(job)
    assert [one["prediction"] for one in found] == [
        [1.0, "x", "2"],
        [-1500.0, "", 'say "hi", you'],
        ["nan", "two\nlines", 0.0],
    ]


def test_a_file_list_sends_each_file_in_base64_and_counts_those_that_are_not_there(
    google, bucket, ended, predicted
):
    text = f"{bucket.put('a.bin', b'ab')}\n{bucket.uri('gone')}\n\n{bucket.put('b.bin', b'')}\n"
    source = bucket.put("list.txt", text)
    job = ended(submit(google, bucket, gcs_source=source, instances_format="file-list"))
    found, errors = predicted(job)
    assert [one["prediction"] for one in found] == [{"b64": "YWI="}, {"b64": ""}]
    assert "gone" in errors
    assert job["completionStats"] == {"successfulCount": "2", "failedCount": "1"}
    assert "No such object" in job["partialFailures"][0]["message"]


def test_parameters_go_with_every_batch(google, bucket, ended, predicted):
    source = bucket.put("in.jsonl", lines({"tell": True}))
    job = ended(submit(google, bucket, gcs_source=source, model_parameters={"k": 3}))
    (one,), _ = predicted(job)
    assert one["prediction"]["parameters"] == {"k": 3}


def test_the_container_is_told_what_a_container_is_told(google, bucket, ended, predicted):
    source = bucket.put("in.jsonl", lines({"tell": True}))
    (one,), _ = predicted(ended(submit(google, bucket, environment={"MINE": "yes"}, gcs_source=source)))
    told = one["prediction"]["environment"]
    assert (told["AIP_MODE"], told["AIP_STORAGE_URI"], told["MINE"]) == ("PREDICTION", "", "yes")
    assert told["AIP_MACHINE_TYPE"] == "n1-standard-2"


def test_a_batch_that_fails_is_counted_and_the_others_go_on(google, bucket, ended, predicted):
    source = bucket.put("in.jsonl", lines({"x": 1}, {"status": 500, "text": "broken"}, {"x": 2}))
    job = ended(submit(google, bucket, gcs_source=source, batch_size=1))
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    found, errors = predicted(job)
    assert sorted(one["prediction"]["x"] for one in found) == [1, 2]
    assert job["completionStats"] == {"successfulCount": "2", "failedCount": "1"}
    form = r"\('Post request fails\. Cannot get predictions\. Error: Exceeded retries: Non-OK result 500 "
    assert re.fullmatch(rf"{form}\(broken\) from server, retry=3, ellapsed=[\d.]+s\.', 1\)\n", errors)


def test_an_answer_of_another_length_is_a_failure(google, bucket, ended, predicted):
    source = bucket.put("in.jsonl", lines({"text": '{"predictions": [1]}'}, 2))
    job = ended(submit(google, bucket, gcs_source=source))
    assert job["state"] == "JOB_STATE_FAILED"
    found, errors = predicted(job)
    assert found == []
    assert "1 predictions for 2 instances" in errors
    assert job["completionStats"] == {"successfulCount": "0", "failedCount": "2"}
    assert "1 predictions for 2 instances" in job["error"]["message"]


def test_a_container_that_cannot_start_fails_the_job_with_its_log(google, bucket, ended):
    source = bucket.put("in.jsonl", "1\n")
    job = ended(submit(google, bucket, environment={"FAILS": "1"}, gcs_source=source))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "ValueError: no such weights" in job["error"]["message"]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('1\n{"x": \n', "jsonl", "line 2 is not JSON"),
        ("a,b\n1\n", "csv", "row 2 has 1 cells; its header has 2"),
        (b"\xff\xfe", "jsonl", "is not UTF-8"),
    ],
)
def test_input_that_cannot_be_read_fails_the_job(google, bucket, ended, text, kind, words):
    job = ended(submit(google, bucket, gcs_source=bucket.put("in", text), instances_format=kind))
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3)
    assert words in job["error"]["message"]
    assert bucket.left("out") == {}


def test_input_that_is_not_there_fails_the_job(google, bucket, ended):
    job = ended(submit(google, bucket, gcs_source=bucket.uri("nothing*")))
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 5)
    assert f'No objects match "{bucket.uri("nothing*")}"' in job["error"]["message"]


def test_a_cancelled_job_ends_soon_and_leaves_no_container(google, bucket, ended):
    source = bucket.put("in.jsonl", lines({"sleep": 60}))
    name = submit(google, bucket, gcs_source=source)
    job = aiplatform.BatchPredictionJob(name)
    job.cancel()
    found = ended(name)
    assert found["state"] == "JOB_STATE_CANCELLED"
    assert found["error"]["code"] == 1
    job.cancel()  # which changes nothing any more
    assert ended(name)["state"] == "JOB_STATE_CANCELLED"


def test_a_running_job_is_not_deleted(google, bucket, ended):
    name = submit(google, bucket, gcs_source=bucket.put("in.jsonl", lines({"sleep": 60})))
    path = "batchPredictionJobs/" + name.rpartition("/")[2]
    answer = google.ask("DELETE", path)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    google.ask("POST", f"{path}:cancel", json={})
    ended(name)
    assert google.ask("DELETE", path).status_code == 200


def body(google, bucket, **changes):
    model = {"imageUri": google.image}
    return {
        "displayName": "by-hand",
        "unmanagedContainerModel": {"containerSpec": model},
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [bucket.uri("in.jsonl")]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": bucket.uri("out")},
        },
        **changes,
    }


@pytest.mark.parametrize(
    ("asked", "sent", "beside"),
    [
        ({"keyField": "id"}, {"x": 1, "y": 2}, {"key": "a"}),
        ({"includedFields": ["y", "x"], "instanceType": "array"}, [2, 1], None),
        ({"excludedFields": ["id", "y"]}, {"x": 1}, None),
    ],
)
def test_a_job_says_which_fields_are_the_instance(google, bucket, ended, predicted, asked, sent, beside):
    whole = {"id": "a", "x": 1, "y": 2}
    bucket.put("in.jsonl", lines(whole))
    answer = google.ask("POST", "batchPredictionJobs", json=body(google, bucket, instanceConfig=asked))
    found, _ = predicted(ended(answer.json()["name"]))
    assert found == [{**(beside or {"instance": whole}), "prediction": sent}]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"displayName": ""}, "INVALID_ARGUMENT", "display_name is required"),
        ({"unmanagedContainerModel": None}, "INVALID_ARGUMENT", "Exactly one of model and"),
        ({"colour": "red"}, "INVALID_ARGUMENT", 'Unknown name "colour"'),
        (
            {"inputConfig": {"instancesFormat": "tf-record", "gcsSource": {"uris": ["gs://bucket/x"]}}},
            "INVALID_ARGUMENT",
            "instances_format must be one of jsonl, csv, file-list",
        ),
        (
            {"inputConfig": {"instancesFormat": "bigquery", "bigquerySource": {"inputUri": "bq://a.b.c"}}},
            "UNIMPLEMENTED",
            "reads and writes Cloud Storage",
        ),
        (
            {"inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["s3://bucket/x"]}}},
            "INVALID_ARGUMENT",
            "is no Cloud Storage URI",
        ),
        ({"generateExplanation": True}, "UNIMPLEMENTED", "no explanations"),
        (
            {"instanceConfig": {"includedFields": ["a"], "excludedFields": ["b"]}},
            "INVALID_ARGUMENT",
            "cannot both be set",
        ),
    ],
)
def test_a_job_that_cannot_be_is_refused_at_once(google, bucket, changes, status, words):
    given = {key: value for key, value in body(google, bucket, **changes).items() if value is not None}
    answer = google.ask("POST", "batchPredictionJobs", json=given)
    assert answer.json()["error"]["status"] == status
    assert words in answer.json()["error"]["message"]


def test_a_model_that_is_not_there_is_404(google, bucket):
    given = body(google, bucket, model=f"{google.place}/models/404")
    del given["unmanagedContainerModel"]
    assert google.ask("POST", "batchPredictionJobs", json=given).status_code == 404
