"""Records in Vertex AI's envelope are answered as the same records in a body of SageMaker's."""

from __future__ import annotations

import base64
import csv
import io
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving.codecs.inputs import to_list
from inference.serving.codecs.media import CSV, JSON, JSON_LINES, PARQUET
from inference.serving.handlers import Call
from inference.serving.jobs import answering
from inference.serving.predictor import Predictor
from infra.local.sagemaker.transforms import joining

BOM = b"\xef\xbb\xbf"


class Moody:
    """Answers with the instance as text, and a number; a few words make it misbehave."""

    def preprocess(self, instances):
        if any("xrefuse" in json.dumps(one) for one in instances):
            raise ValueError("no instance like this")
        return instances

    def predict(self, inputs):
        if any("xcrash" in json.dumps(one) for one in inputs):
            raise RuntimeError("the model broke")
        return [{"of": str(one), "n": math.nan if "xnan" in json.dumps(one) else 0.5} for one in inputs]


PREDICTOR = Predictor(to_list, Moody().preprocess, Moody().predict, None)


def posted(treatment, body, kind, accept):
    """Status and body that a worker of the job answers."""
    answer = answering.make(treatment)(PREDICTOR, answering.message(Call(body, kind, accept)))
    return answer[0], answer[2]


def by_sagemaker(policy, body, kind, accept=""):
    """What a transform job has of a body: the lines, joined by the platform. Else status and body."""
    status, answer = posted((*policy, "", ""), body, kind, accept)
    if status != 200:
        return status, answer
    if policy[2]:
        answer = joining.for_output(joining.Processing(kind, join=True), body.removeprefix(BOM), answer)
    return answer.decode().split("\n")[:-1]


def by_vertex(policy, lines, kind, accept=""):
    """What a batch prediction has for each of the lines. Else status and body."""
    envelope = {"instances": [{"record": line.decode()} for line in lines]}
    treatment = (*policy, kind, accept or (CSV if kind == CSV else JSON_LINES))
    status, answer = posted(treatment, json.dumps(envelope).encode(), JSON, "")
    return json.loads(answer)["predictions"] if status == 200 else (status, answer)


def is_answered(line, policy):
    _, header, join = policy
    return bool(line.strip()) and (join or not header or line.rstrip(b"\r") != header.encode())


def row(cells):
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue().encode()


good = st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text("abc é\"'\u2028\x85", max_size=5)
bad = st.sampled_from(["xrefuse", "xcrash", "xnan"])
end = st.sampled_from([b"", b"\r", b" "])
blank = st.sampled_from([b"", b" \t", b"\r", b"\x0b"])
json_good = st.builds(
    lambda one, after: json.dumps(one, ensure_ascii=False).encode() + after,
    good | st.lists(good, max_size=2) | st.dictionaries(st.sampled_from("xy"), good),
    end,
)
json_bad = bad.map(lambda one: json.dumps(one).encode())
csv_line = st.lists(good | bad | st.just(""), min_size=2, max_size=2).map(row)
csv_line = st.builds(lambda line, after: line + after, csv_line, st.sampled_from([b"", b"\r"]))
csv_bad = st.sampled_from([b'1,"open', b"1,nan", b"1,2,3", b"1", b"a\rb,1"])
accepts = st.sampled_from(["", JSON_LINES, CSV])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(json_good | json_bad | st.sampled_from([b"{", b"NaN", b"nul"]) | blank, max_size=20),
    st.booleans(),
    accepts,
)
def test_json_lines_are_answered_as_by_a_transform_job(lines, keep, accept):
    policy = (keep, "", False)
    check(policy, lines, JSON_LINES, accept)


@settings(max_examples=200, deadline=None)
@given(st.lists(json_good | json_bad | blank, max_size=20), st.booleans())
def test_json_lines_are_joined_as_the_platform_joins_them(lines, keep):
    check((keep, "", True), lines, JSON_LINES)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(csv_line | csv_bad | blank | st.just(b"a,b\r"), max_size=20),
    st.tuples(st.booleans(), st.sampled_from(["", "a,b"]), st.booleans()),
    accepts,
)
def test_csv_is_answered_and_joined_as_by_a_transform_job(lines, policy, accept):
    check(policy, [b"a,b", *lines], CSV, "" if policy[2] else accept)


def check(policy, lines, kind, accept=""):
    body = b"".join(line + b"\n" for line in lines)
    expected = by_sagemaker(policy, BOM + body if kind == CSV else body, kind, accept)
    found = by_vertex(policy, lines, kind, accept)
    if isinstance(expected, tuple):
        assert found == expected
        return
    assert [line for line in found if line is not None] == expected
    assert [line is not None for line in found] == [is_answered(line, policy) for line in lines]


KEEP, JOIN = (True, "", False), (True, "", True)
HEADED, HEADED_JOIN = (True, "a,b", False), (True, "a,b", True)


@pytest.mark.parametrize(
    ("policy", "kind", "lines", "answers"),
    [
        (KEEP, JSON_LINES, ["1", "", "[2]"], ['{"of":"1","n":0.5}', None, '{"of":"[2]","n":0.5}']),
        (KEEP, CSV, ["1,é", ' ,"x,y"\r'], ["\"[1, 'é']\",0.5", "\"[' ', 'x,y']\",0.5"]),
        (HEADED, CSV, ["\ufeffa,b", "1,2"], [None, "\"{'a': 1, 'b': 2}\",0.5"]),
        (HEADED, CSV, ["1,2", "a,b\r"], ["\"{'a': 1, 'b': 2}\",0.5", None]),
        (
            HEADED_JOIN,
            CSV,
            ["a,b", "1,", "a,b\r", " "],
            ["a,b,of,n", "1,,\"{'a': 1, 'b': None}\",0.5", "a,b,of,n", None],
        ),
        (
            HEADED_JOIN,
            CSV,
            ["a,b", "xcrash,"],
            ["a,b,prediction", "xcrash,,slipway_error,predict raised RuntimeError: the model broke"],
        ),
        (JOIN, JSON_LINES, ['{"x": 1.50}'], ['{"x": 1.50,"SageMakerOutput":{"of":"{\'x\': 1.5}","n":0.5}}']),
        (
            JOIN,
            JSON_LINES,
            ["{no"],
            ['{"SageMakerInput":"{no","SageMakerOutput":{"slipway_error":"column 2: unexpected '
             "character, expected a string key, found 'no'\"}}"],
        ),
    ],
)  # fmt: skip
def test_each_instance_has_its_records_line(policy, kind, lines, answers):
    assert by_vertex(policy, [line.encode() for line in lines], kind) == answers


@pytest.mark.parametrize("bad", [b"{", b'"xrefuse"', b'"xcrash"', b'"xnan"'])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_kept_failure_stands_in_its_records_place(bad, place):
    lines = [b"1", b"2", b"3"]
    lines[place] = bad
    found = by_vertex(KEEP, lines, JSON_LINES)
    assert ["slipway_error" in line for line in found] == [number == place for number in range(3)]


@pytest.mark.parametrize(("bad", "status"), [(b"{", 400), (b'"xrefuse"', 400), (b'"xcrash"', 500)])
def test_without_keep_a_failure_refuses_the_envelope(bad, status):
    found = by_vertex((False, "", False), [b"1", bad], JSON_LINES)
    assert found[0] == status
    assert "error" in json.loads(found[1])


def test_an_empty_envelope_has_no_predictions():
    assert by_vertex(KEEP, [], JSON_LINES) == by_vertex(HEADED_JOIN, [], CSV) == []


def parquet(**columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def by_vertex_files(files, accept="", keep=True):
    instances = [{"b64": base64.b64encode(file).decode()} for file in files]
    body = json.dumps({"instances": instances}).encode()
    return posted((keep, "", False, PARQUET, accept), body, JSON, "")


@pytest.mark.parametrize("accept", ["", CSV])
def test_a_parquet_file_is_answered_whole_by_one_text(accept):
    files = [parquet(x=[1, 2]), parquet(x=["é", "xnan", "xcrash"]), parquet(x=pa.array([], pa.int64()))]
    status, answer = by_vertex_files(files, accept)
    expected = [posted((*KEEP, "", ""), file, PARQUET, accept)[1].decode() for file in files]
    assert (status, json.loads(answer)) == (200, {"predictions": expected})
    assert [text.count("\n") for text in expected] == [2, 3, 0]


def test_a_parquet_file_that_cannot_be_read_is_refused_as_by_a_transform_job():
    file = parquet(x=[1])[:-8]
    assert by_vertex_files([file]) == posted((*KEEP, "", ""), file, PARQUET, "")
    assert by_vertex_files([parquet(x=["xcrash"])], keep=False)[0] == 500


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (CSV, b"{", "application/json: line 1 column 2: nothing where a JSON value was expected, found ''"),
        (CSV, b"[1]", 'application/json: found a list of instances; expected {"instances": [...]}'),
        (CSV, b'{"record": "1"}', 'application/json: found one instance; expected {"instances": [...]}'),
        (CSV, b'{"instances": 1}', 'application/json: "instances" is 1; expected a list'),
        (
            CSV,
            b'{"instances": [{"record": "1"}, {"recrod": "2"}]}',
            "application/json: instances[1]: {'recrod': '2'}; expected {\"record\": \"one line of text\"}",
        ),
        (
            JSON_LINES,
            b'{"instances": [{"record": 1}]}',
            'application/json: instances[0]: {\'record\': 1}; expected {"record": "one line of text"}',
        ),
        (
            JSON_LINES,
            b'{"instances": ["1"]}',
            'application/json: instances[0]: \'1\'; expected {"record": "one line of text"}',
        ),
        (
            CSV,
            b'{"instances": [{"record": "1"}, {"record": "2\\n3"}]}',
            'application/json: instances[1]: "record" has a line feed in it; '
            "expected one line without its end",
        ),
        (
            PARQUET,
            b'{"instances": [{"record": "1"}]}',
            "application/json: instances[0]: {'record': '1'}; expected {\"b64\": \"a whole file in base64\"}",
        ),
        (
            PARQUET,
            b'{"instances": [{"b64": "UEFSMQ=="}, {"b64": "P?"}]}',
            "application/json: instances[1]: \"b64\" is 'P?', which is no base64 "
            "(Only base64 data is allowed)",
        ),
        (
            CSV,
            b'{"instances": [], "parameters": {"a": 1}}',
            "application/json: \"parameters\" is {'a': 1}: a handler takes instances alone; "
            "put what it needs into each instance",
        ),
    ],
)
def test_an_envelope_without_records_is_400_and_names_the_instance(kind, body, message):
    status, answer = posted((*KEEP, kind, ""), body, JSON, "")
    assert (status, json.loads(answer)["error"]["message"]) == (400, message)


def test_a_body_that_is_none_of_vertexs_is_415():
    status, answer = posted((*KEEP, CSV, ""), b"1,2\n", CSV, "")
    assert (status, json.loads(answer)["error"]["code"]) == (415, "unsupported_media_type")


def test_what_vertex_adds_to_an_instance_does_not_matter():
    body = b'{"instances": [{"key": "0:1", "record": "1,2"}], "parameters": null}'
    assert posted((*KEEP, CSV, ""), body, JSON, "") == (200, b'{"predictions":["\\"[1, 2]\\",0.5"]}')


def test_a_server_in_each_clouds_job_gives_the_same_lines(serve, keeping):
    rows = ["a,b", "1,é", '2,"x, ""y"""', "3", "", "nan,4\r", ",5"]
    served = serve(
        samples="1\n",
        SLIPWAY_BATCH="true",
        SLIPWAY_BATCH_RECORDS=CSV,
        SLIPWAY_BATCH_ON_ERROR="keep",
        SLIPWAY_BATCH_HEADER="a,b",
        SLIPWAY_BATCH_JOIN="input",
        AIP_PREDICT_ROUTE="/predict",
    ).wait_ready()
    envelope = json.dumps({"instances": [{"record": row} for row in rows]}).encode()
    answer = served.call("POST", "/predict", envelope, Content_Type=JSON)
    body = "".join(f"{row}\r\n" for row in rows).encode()
    lines = joining.for_output(joining.Processing(CSV, join=True), body, keeping.post(body, CSV).body)
    assert (answer.status, answer.headers["content-type"]) == (200, JSON)
    assert [one for one in answer.json["predictions"] if one is not None] == lines.decode().splitlines()
    assert answer.json["predictions"][4] is None
    assert served.metric('slipway_requests_total{status="200"}') == 1
    assert "1 samples answered" in served.log
