"""What a job does with its objects, clause by clause of the contract (README.md has the table)."""

import gzip
import json
import re

import pytest

JSONLINES = {"ContentType": "application/jsonlines"}
MIB = 1024 * 1024


def manifest(url, *names):
    return json.dumps([{"prefix": url}, *names]).encode()


def source(kind, url):
    return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": url}}}


def test_each_object_s_answer_is_its_key_below_the_prefix_with_out(jobs):
    url = jobs.put({"a.jsonl": b"1\n2\n", "sub/deep/b.jsonl": b"3\n4", "sub/": b"", "empty.jsonl": b""})
    assert jobs.outputs(jobs.run(url)) == {
        "a.jsonl.out": b"1\n2\n",
        "sub/deep/b.jsonl.out": b"3\n4\n",
        "empty.jsonl.out": b"",
    }


def test_a_prefix_that_is_one_key_or_the_beginning_of_some(jobs):
    url = jobs.put({"part-1": b"1\n", "part-2": b"2\n", "other": b"3\n"})
    assert jobs.outputs(jobs.run(url + "part-1")) == {"part-1.out": b"1\n"}
    assert sorted(jobs.outputs(jobs.run(url + "part-"))) == ["part-1.out", "part-2.out"]


def test_a_manifest_names_the_objects_below_its_prefix(jobs):
    url = jobs.put({"a": b"1\n", "sub/b": b"2\n", "unnamed": b"3\n"})
    listed = jobs.put({"list.json": manifest(url, "sub/b", "a", "a")}) + "list.json"
    name = jobs.run(listed, TransformInput=source("ManifestFile", listed))
    assert jobs.outputs(name) == {"a.out": b"1\n", "sub/b.out": b"2\n"}


def test_an_object_of_the_manifest_that_is_not_there_fails_alone(jobs):
    url = jobs.put({"a": b"1\n"})
    listed = jobs.put({"list.json": manifest(url, "gone", "a")}) + "list.json"
    name = jobs.failed(listed, TransformInput=source("ManifestFile", listed))
    assert jobs.outputs(name) == {"a.out": b"1\n"}
    assert any("/gone: ClientError: NoSuchKey" in line for line in jobs.data_log(name))


def test_splittype_none_sends_an_object_whole(jobs):
    url = jobs.put({"a": b"1\n2\n", "b": b""})
    name = jobs.run(url, TransformInput={"SplitType": "None"}, TransformOutput={"AssembleWith": "None"})
    assert sorted(one["size"] for one in jobs.requests(name)) == [0, 4]
    assert jobs.outputs(name) == {"a.out": b"1\n2\n", "b.out": b""}


def test_multirecord_fills_each_request_up_to_the_limit_and_singlerecord_sends_one_line(jobs):
    line = b"x" * 99_999 + b"\n"
    url = jobs.put({"a": line * 25})
    multi = jobs.run(url, BatchStrategy="MultiRecord", MaxPayloadInMB=1)
    assert [one["lines"] for one in jobs.requests(multi)] == [10, 10, 5]
    single = jobs.run(url, BatchStrategy="SingleRecord")
    assert [one["lines"] for one in jobs.requests(single)] == [1] * 25
    assert jobs.outputs(multi) == jobs.outputs(single) == {"a.out": line * 25}


def test_a_mini_batch_never_spans_objects(jobs):
    url = jobs.put({name: name.encode() + b"\n" for name in "abc"})
    assert sorted(one["body"] for one in jobs.requests(jobs.run(url))) == ["a\n", "b\n", "c\n"]


def test_csv_with_a_newline_in_a_field_is_not_supported_and_is_cut_in_two(jobs):
    url = jobs.put({"a.csv": b'1,"two\nlines"\n'})
    name = jobs.run(url, BatchStrategy="SingleRecord", TransformInput={"ContentType": "text/csv"})
    assert [one["body"] for one in jobs.requests(name)] == ['1,"two\n', 'lines"\n']


def test_content_type_and_accept_are_the_request_s_headers(jobs):
    accept = {"Accept": "application/jsonlines"}
    name = jobs.run(jobs.put({"a": b"1\n"}), TransformInput=JSONLINES, TransformOutput=accept)
    (seen,) = jobs.requests(name)
    assert {key: seen["headers"][key] for key in ("Content-Type", "Accept", "Content-Length")} == {
        "Content-Type": "application/jsonlines",
        "Accept": "application/jsonlines",
        "Content-Length": "2",
    }


def test_maxconcurrenttransforms_is_how_many_requests_are_on_their_way(jobs):
    url = jobs.put({"a": b"1 SLOW\n2 SLOW\n3 SLOW\n4\n5\n6\n", "b": b"7\n8\n9\n"})
    asked = {"BatchStrategy": "SingleRecord", "MaxPayloadInMB": 1}
    name = jobs.run(url, {"SLEEP_S": "0.05"}, **asked, MaxConcurrentTransforms=3)
    assert max(one["beside"] for one in jobs.requests(name)) == 3
    assert jobs.outputs(name) == {"a.out": b"1 SLOW\n2 SLOW\n3 SLOW\n4\n5\n6\n", "b.out": b"7\n8\n9\n"}
    alone = jobs.run(url, **asked)
    assert {one["beside"] for one in jobs.requests(alone)} == {1}


def test_answers_are_in_the_records_order_however_they_arrive(jobs):
    lines = [b"%d%s\n" % (number, b" SLOW" if number % 7 == 0 else b"") for number in range(40)]
    url = jobs.put({"a": b"".join(lines)})
    name = jobs.run(url, BatchStrategy="SingleRecord", MaxConcurrentTransforms=10, MaxPayloadInMB=1)
    assert jobs.outputs(name) == {"a.out": b"".join(lines)}


def test_maxpayloadinmb_0_sends_an_object_in_chunks_in_one_request(jobs):
    body = b"line\n" * (MIB // 2)
    url = jobs.put({"a": body, "b": b"1"})
    name = jobs.run(url, MaxPayloadInMB=0, BatchStrategy="MultiRecord")
    seen = jobs.requests(name)
    assert sorted((one["size"], one["chunked"]) for one in seen) == [(1, True), (len(body), True)]
    assert jobs.outputs(name) == {"a.out": body, "b.out": b"1\n"}


def test_compressiontype_gzip_is_undone_before_the_container(jobs):
    url = jobs.put({"a.gz": gzip.compress(b"1\n2\n") + gzip.compress(b"3\n")})
    name = jobs.run(url, TransformInput={"CompressionType": "Gzip"})
    assert [one["body"] for one in jobs.requests(name)] == ["1\n2\n3\n"]
    assert jobs.outputs(name) == {"a.gz.out": b"1\n2\n3\n"}


def test_an_object_that_is_no_gzip_fails(jobs):
    url = jobs.put(
        {"a.gz": b"plain\n", "b.gz": gzip.compress(b"1\n" * 9)[:-9], "c.gz": gzip.compress(b"2\n")}
    )
    name = jobs.failed(url, TransformInput={"CompressionType": "Gzip"})
    assert jobs.outputs(name) == {"c.gz.out": b"2\n"}


@pytest.mark.parametrize(
    ("assembled", "out"), [("None", b"onetwo\n"), ("Line", b"one\ntwo\n")], ids=["None", "Line"]
)
def test_assemblewith_none_concatenates_and_line_puts_a_newline_after_each(jobs, assembled, out):
    url = jobs.put({"a": b"one"})
    listed = jobs.put({"a": b"one\ntwo\n"})
    name = jobs.run(url, TransformOutput={"AssembleWith": assembled})
    assert jobs.outputs(name) == {"a.out": b"one" if assembled == "None" else b"one\n"}
    name = jobs.run(
        listed,
        {"ANSWER": "fixed", "FIXED": "p"},
        BatchStrategy="SingleRecord",
        TransformOutput={"AssembleWith": assembled},
    )
    assert jobs.outputs(name) == {"a.out": b"pp" if assembled == "None" else b"p\np\n"}


def test_records_are_recordio_s_where_splittype_says_so(jobs):
    frame = b"\x0a\x23\xd7\xce\x03\x00\x00\x00abc\x00"
    url = jobs.put({"a": frame * 3})
    name = jobs.run(
        url,
        BatchStrategy="SingleRecord",
        TransformInput={"SplitType": "RecordIO"},
        TransformOutput={"AssembleWith": "None"},
    )
    assert jobs.outputs(name) == {"a.out": b"abcabcabc"}


def test_the_container_s_environment_is_the_model_s_the_job_s_and_sagemaker_batch(jobs):
    model = {"ANSWER": "environment", "MODEL": "m", "BOTH": "model"}
    name = jobs.run(jobs.put({"a": b"1\n"}), model, Environment={"JOB": "j", "BOTH": "job"})
    seen = json.loads(jobs.outputs(name)["a.out"])
    assert {"MODEL": "m", "JOB": "j", "BOTH": "job", "SAGEMAKER_BATCH": "true"}.items() <= seen.items()
    assert not [key for key in seen if key.startswith("SAGEMAKER_MAX") or key.endswith("STRATEGY")]


def test_limits_are_in_the_environment_where_the_caller_set_them(jobs):
    asked = {"MaxPayloadInMB": 2, "BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 3}
    name = jobs.run(jobs.put({"a": b"1\n"}), {"ANSWER": "environment"}, **asked)
    assert {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
    }.items() <= json.loads(jobs.outputs(name)["a.out"]).items()


@pytest.mark.parametrize(
    ("answer", "asked", "line"),
    [
        ("", {}, "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"),
        ("no json", {}, "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"),
        (
            '{"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}',
            {},
            "MaxConcurrentTransforms=8, MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD",
        ),
        (
            '{"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}',
            {"MaxConcurrentTransforms": 2, "BatchStrategy": "MultiRecord"},
            "MaxConcurrentTransforms=2, MaxPayloadInMB=2, BatchStrategy=MULTI_RECORD",
        ),
    ],
    ids=["absent", "broken", "answered", "asked for"],
)
def test_execution_parameters_hold_unless_the_request_says_otherwise(jobs, answer, asked, line):
    name = jobs.run(jobs.put({"a": b"1\n2\n"}), {"EXECUTION_PARAMETERS": answer}, **asked)
    assert jobs.data_log(name) == [line]
    requests = 2 if "SINGLE" in line else 1
    assert len(jobs.requests(name)) == requests


def test_execution_parameters_that_break_the_product_rule_fail_the_job(jobs):
    said = '{"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}'
    name = jobs.failed(jobs.put({"a": b"1\n"}), {"EXECUTION_PARAMETERS": said})
    assert "MaxConcurrentTransforms (20) * MaxPayloadInMB (6)" in jobs.ended(name)["FailureReason"]


def test_objects_are_shared_out_over_the_instances(jobs):
    url = jobs.put({f"{number}": b"%d\n" % number for number in range(5)})
    name = jobs.run(url, TransformResources={"InstanceCount": 3})
    by_container: dict[int, set[str]] = {}
    for one in jobs.requests(name):
        by_container.setdefault(one["pid"], set()).add(one["body"])
    assert sorted(map(len, by_container.values())) == [1, 2, 2]
    assert sorted(jobs.outputs(name)) == [f"{number}.out" for number in range(5)]
    assert len(jobs.data_log(name)) == 3


def test_logs_are_a_stream_for_each_instance_and_one_for_its_data(jobs):
    name = jobs.run(jobs.put({"a": b"1\n"}))
    streams = jobs.streams(name)
    own, data = sorted(streams)
    assert re.fullmatch(rf"{name}/i-[0-9a-f]{{17}}-\d{{10}}", own)
    assert data == f"{own}/data-log"
    assert streams[own][0] == "batchbox listens"
    assert streams[own][-1] == "asked to stop"
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}:\[sagemaker logs\]: MaxConcurrentTransforms=1, "
        r"MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD",
        streams[data][0],
    )


def test_dataprocessing_filters_what_is_sent_joins_what_is_answered_and_filters_that(jobs):
    url = jobs.put({"a.csv": b"id1,10,20\nid2,300,4\n"})
    name = jobs.run(
        url,
        {"ANSWER": "sizes"},
        TransformInput={"ContentType": "text/csv"},
        TransformOutput={"Accept": "text/csv"},
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )
    assert [one["body"] for one in jobs.requests(name)] == ["10,20\n300,4\n"]
    assert jobs.outputs(name) == {"a.csv.out": b"id1,5\nid2,5\n"}


def test_dataprocessing_of_json_lines_joins_under_sagemakeroutput(jobs):
    url = jobs.put({"a.jsonl": b'{"id": 1.0, "x": "abc"}\n{"id": 2}\n'})
    name = jobs.run(
        url,
        {"ANSWER": "sizes"},
        TransformInput=JSONLINES,
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={"InputFilter": "$.id", "JoinSource": "Input"},
    )
    assert jobs.outputs(name) == {
        "a.jsonl.out": b'{"id": 1.0, "x": "abc","SageMakerOutput":3}\n{"id": 2,"SageMakerOutput":1}\n'
    }


def test_dataprocessing_of_json_takes_an_object_as_one_document(jobs):
    url = jobs.put({"a.json": b'{\n "id": 1,\n "x": [1.0]\n}\n'})
    name = jobs.run(
        url,
        {"ANSWER": "fixed", "FIXED": '{"p": 0.50}'},
        TransformInput={"ContentType": "application/json", "SplitType": "None"},
        TransformOutput={"Accept": "application/json", "AssembleWith": "None"},
        DataProcessing={
            "InputFilter": "$.x",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
    )
    assert [one["body"] for one in jobs.requests(name)] == ["[1.0]"]
    assert jobs.outputs(name) == {"a.json.out": b'{"id":1,"SageMakerOutput":{"p":0.50}}'}
