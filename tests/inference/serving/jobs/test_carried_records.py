"""What a handler of another server is asked about the records of a batch, and the lines that come of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from inference.serving.codecs import media
from inference.serving.codecs.media import CSV, JSON, JSON_LINES, NPY, PARQUET
from inference.serving.errors import NotAcceptable, Refusal
from inference.serving.exchange import Request
from inference.serving.handlers import Answer, Call, Intake
from inference.serving.jobs.scoring import Policy, score

ALONE, INPUTS = Intake(), Intake("inputs")
LISTED = Intake("instances", listed=True)
WHOLE = Intake(whole={CSV: CSV, PARQUET: PARQUET, JSON_LINES: "application/x-ndjson"}, accepts={CSV: CSV})

FAIL, KEEP = Policy(), Policy(keep_errors=True)


@dataclass
class Old:
    """A handler that answers by a function from a body, and remembers what it was asked."""

    intake: Intake
    says: Callable[[Any], Any]
    batch_size: int | None = None
    calls: list[Call] = field(default_factory=list)
    together: list[int] = field(default_factory=list)
    shape: str = "Old"

    def answer(self, call: Call) -> Answer:
        return self.answer_all([call])[0]

    def answer_all(self, calls):
        self.together.append(len(calls))
        self.calls += calls
        return [self._answer(call) for call in calls]

    def _answer(self, call: Call) -> Answer:
        said = self.says(json.loads(call.body) if call.content_type == JSON else call.body)
        if isinstance(said, Answer):
            return said
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return Answer(200, body, "" if isinstance(said, bytes) else JSON)


def scored(old, body: bytes, policy: Policy = FAIL, kind=JSON_LINES, accept=""):
    content_type = media.content_type(kind)
    return score(old, Request(body, content_type, media.accepted(accept, content_type.format)), policy, {})


def posted(old: Old) -> list[Any]:
    return [json.loads(call.body) for call in old.calls]


def twice(said: Any) -> Any:
    if said == "bad":
        return Answer(400, b'{"error": "no such record"}', JSON)
    return {"twice": [said, said]}


def test_each_record_is_a_request_as_it_is_written():
    old = Old(ALONE, twice)
    assert scored(old, b' 1.50\n\n[2, {"a" : "b"}]\r\n').body == (
        b'{"twice": [1.5, 1.5]}\n{"twice": [[2, {"a": "b"}], [2, {"a": "b"}]]}\n'
    )
    assert old.calls == [Call(b"1.50", JSON, JSON), Call(b'[2, {"a" : "b"}]', JSON, JSON)]


def test_as_many_requests_share_a_call_as_the_handler_takes():
    old = Old(ALONE, twice, batch_size=2)
    scored(old, b"1\n2\n3\n")
    assert old.together == [2, 1]


def test_a_record_is_put_under_the_key_unless_it_is_a_request():
    old = Old(INPUTS, lambda document: document)
    body = b'1\n{"inputs": 2, "parameters": {}}\n{"instances": [3]}\n{"text": "inputs"}\n'
    assert scored(old, body).rows_out == 4
    assert posted(old) == [
        {"inputs": 1},
        {"inputs": 2, "parameters": {}},
        {"instances": [3]},
        {"inputs": {"text": "inputs"}},
    ]


def ten_times(document: dict[str, Any]) -> Any:
    if any(one == "bad" for one in document["instances"]):
        return Answer(500, b"it broke")
    return {"predictions": [10 * one for one in document["instances"]]}


def test_records_are_listed_together_and_requests_among_them_go_alone():
    old = Old(LISTED, ten_times)
    answer = scored(old, b'1\n{"instances": [2, 3]}\n4.5\n')
    assert answer.body == b'10\n{"predictions": [20, 30]}\n45.0\n'
    assert posted(old) == [{"instances": [2, 3]}, {"instances": [1, 4.5]}]


def test_bodies_that_a_handler_reads_come_whole_under_the_name_it_knows():
    old = Old(WHOLE, lambda body: body.upper())
    assert scored(old, b'\n"a"\n{no\n').body == b'"A"\n"{NO"\n'
    assert old.calls == [Call(b'"a"\n{no\n', "application/x-ndjson", JSON)]


def test_csv_comes_whole_without_its_header_and_lines_stay_what_they_are():
    old = Old(WHOLE, lambda body: body.replace(b"1", b"9"))
    policy = Policy(header="a,b")
    assert scored(old, b"\xef\xbb\xbfa,b\n1,x\r\n\na,b\n2,1e5\n", policy, CSV).body == b"9,x\n2,9e5\n"
    assert old.calls == [Call(b"1,x\r\n2,1e5\n", CSV, CSV)]


def test_rows_of_csv_become_json_by_their_header_or_without_one():
    old = Old(ALONE, lambda document: document)
    assert scored(old, b'1,"x,y"\n2,\n', Policy(header="a,b"), CSV).body == b'1,"x,y"\n2,\n'
    assert scored(old, b"3,z\n", kind=CSV).body == b"3,z\n"
    assert posted(old) == [{"a": 1, "b": "x,y"}, {"a": 2, "b": None}, [3, "z"]]


def table(*values: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": list(values)}), file)
    return file.getvalue()


def test_rows_of_parquet_become_json():
    old = Old(LISTED, lambda document: [one["x"] for one in document["instances"]])
    assert scored(old, table("a", None), kind=PARQUET).body == b'"a"\nnull\n'


def read_table(body: bytes) -> Any:
    found = pyarrow.parquet.read_table(io.BytesIO(body))["x"]
    assert found.type == pyarrow.string()
    values = found.to_pylist()
    return Answer(400, b"bad") if "bad" in values else values


def test_parquet_comes_whole_to_who_reads_it_and_a_row_that_fails_is_found():
    old = Old(WHOLE, read_table)
    body = table("a", "b")
    assert scored(old, body, kind=PARQUET).body == b'"a"\n"b"\n'
    assert old.calls == [Call(body, PARQUET, JSON)]
    kept = scored(old, table("a", "b", "bad", "c"), KEEP, PARQUET)
    assert [failure.record for failure in kept.failures] == [2]
    assert kept.body == b'"a"\n"b"\n{"slipway_error":"the handler answered 400: bad"}\n"c"\n'


@pytest.mark.parametrize("intake", [ALONE, INPUTS, LISTED])
def test_a_failure_is_kept_in_its_place_and_costs_no_other(intake):
    def says(document: Any) -> Any:
        values = document if intake is ALONE else document[intake.key]
        bad = "bad" in values if intake is LISTED else values == "bad"
        return Answer(400, b"oh") if bad else values

    kept = scored(Old(intake, says), b'1\n"bad"\n{no\n2\n"bad"\n', KEEP)
    assert (kept.rows_in, kept.rows_out) == (5, 5)
    lines = [json.loads(line) for line in kept.body.splitlines()]
    assert [line if isinstance(line, int) else "failed" for line in lines] == [
        1,
        *["failed"] * 2,
        2,
        "failed",
    ]
    assert [failure.record for failure in kept.failures] == [1, 2, 4]
    assert kept.failures[0].reason == "the handler answered 400: oh"


def test_else_the_first_failure_is_the_answer_and_nobody_is_asked_after_it():
    old = Old(ALONE, twice)
    with pytest.raises(Refusal, match="^record 2: the handler answered 400: no such record$") as refused:
        scored(old, b'1\n"bad"\n3\n')
    assert (refused.value.status, refused.value.place) == (400, 1)
    assert len(old.calls) == 2
    with pytest.raises(Refusal, match="the handler answered 500: it broke") as refused:
        scored(Old(LISTED, ten_times), b'1\n"bad"\n')
    assert refused.value.status == 500


def test_one_for_each_record_is_what_counts():
    old = Old(LISTED, lambda document: document["instances"][1:])
    with pytest.raises(Refusal, match="answered 2 records with"):
        scored(old, b"1\n2\n")
    kept = scored(old, b"1\n2\n", KEEP)
    assert (kept.rows_out, len(kept.failures)) == (2, 2)


def test_answers_take_the_form_that_is_wanted():
    say = {1: [1, "a,b"], 2: {"p": 0.25}, 3: b"high, low"}
    old = Old(ALONE, lambda document: say[document])
    assert scored(old, b"1\n3\n").body == b'[1, "a,b"]\n"high, low"\n'
    assert scored(old, b"1\n3\n", accept=CSV).body == b'1,"a,b"\nhigh, low\n'
    assert scored(old, b"2\n", accept=JSON).body == b'[{"p": 0.25}]'
    with pytest.raises(NotAcceptable, match="gives lines in a job"):
        scored(old, b"1\n", accept=NPY)


@pytest.mark.parametrize("body", [b'"\\ud800"', b"1e999", b"[[1]]"])
def test_what_no_row_of_csv_can_hold_is_a_failure(body):
    kept = scored(Old(ALONE, lambda document: Answer(200, body, JSON)), b"1\n", KEEP, accept=CSV)
    assert (kept.rows_out, len(kept.failures)) == (1, 1)
    assert kept.body.startswith(b"slipway_error,")


def test_rows_of_csv_must_have_the_columns_of_the_first():
    say = {1: {"p": 1}, 2: {"q": 2}}
    kept = scored(Old(ALONE, lambda document: say[document]), b"1\n2\n", KEEP, accept=CSV)
    assert kept.body.startswith(b"1\nslipway_error,")


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ([{"p": 1, "q": 2}], b"p,q"),
        ([[1, 2, 3]], b"prediction_1,prediction_2,prediction_3"),
        ([0.5], b"prediction"),
        (b"7,x\n", b"prediction_1,prediction_2"),
        (b"7\n", b"prediction"),
        (Answer(200, b"7\n", CSV), b"prediction"),
        (Answer(200, b'7,"x\n', CSV), b"prediction"),
        (Answer(400, b"no"), b"prediction"),
    ],
)
def test_a_header_that_is_joined_is_answered_by_the_columns_of_the_answers(answer, names):
    old = Old(WHOLE, lambda body: answer)
    policy = Policy(keep_errors=True, header="a,b", join=True)
    assert scored(old, b"a,b\n1,2\n", policy, CSV).body.split(b"\n")[0] == names


@pytest.mark.parametrize(
    ("intake", "said"),
    [
        (ALONE, "in a job X gets records each as a request of JSON"),
        (INPUTS, 'in a job X gets records each as {"inputs": ...}'),
        (LISTED, 'in a job X gets records many as {"instances": [...]}'),
        (
            Intake(whole={CSV: CSV, PARQUET: PARQUET}),
            f"in a job X gets {CSV} and {PARQUET} as they come, other records each as a request of JSON",
        ),
    ],
)
def test_the_log_says_how_records_come(intake, said):
    assert intake.told("X") == said
