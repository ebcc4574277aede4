"""A batch's body, record by record: what is counted, what is answered, and what a bad record costs."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving import exchange
from inference.serving.codecs import media
from inference.serving.codecs.inputs import to_array, to_list
from inference.serving.errors import BadBody, BadPredictions, HandlerFailed, NotAcceptable, Refusal
from inference.serving.jobs import scoring
from inference.serving.jobs.answer_lines import ERROR_KEY
from inference.serving.jobs.scoring import Failure, Policy
from inference.serving.predictor import Predictor

KEEP = Policy(keep_errors=True)
LINES, CSV = "application/jsonlines", "text/csv"


class Moody:
    """Doubles numbers; a few words make it misbehave, wherever in an instance they stand."""

    def __init__(self):
        self.calls = []

    def preprocess(self, instances):
        if any(said(instance, "refuse") for instance in instances):
            raise ValueError("no instance like this")
        return instances

    def predict(self, inputs):
        self.calls.append(len(inputs))
        if any(said(one, "crash") for one in inputs):
            raise RuntimeError("the model broke")
        answers = []
        for one in inputs:
            answer = {"of": json.dumps(one), "nan": math.nan if said(one, "nan") else 0.5}
            answers += [] if said(one, "drop") else [answer] * (2 if said(one, "twice") else 1)
        return answers


def said(instance, word):
    return f"x{word}" in json.dumps(instance)


def predictor_of(handler, convert=to_list):
    step = getattr(handler, "postprocess", None)
    return Predictor(convert, getattr(handler, "preprocess", None), handler.predict, step)


def scored(body, content_type=LINES, policy=KEEP, accept="", handler=None, phases=None):
    kind = media.content_type(content_type)
    request = exchange.Request(body, kind, media.accepted(accept, kind.format))
    chosen = handler if isinstance(handler, Predictor) else predictor_of(handler or Moody())
    return scoring.score(chosen, request, policy, {} if phases is None else phases)


def alone(line, content_type, policy, accept=""):
    """What a record is answered by itself; None where it is refused."""
    try:
        return scored(line, content_type, policy, accept).body
    except Refusal:
        return None


good = st.integers(-(2**53), 2**53) | st.text("abc é\"'", max_size=5).map("w".__add__)
bad = st.sampled_from(["xrefuse", "xcrash", "xdrop", "xnan"])
json_line = (good | bad).map(lambda one: json.dumps(one).encode()) | st.sampled_from(
    [b"{", b"1,2", b"NaN", b'"\xff"', b"nul", b"[" * 2000]
)
blank = st.sampled_from([b"", b" ", b"\t\r"])
ends = st.sampled_from([b"\n", b"\r\n"])


def row(cells):
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue().encode()


csv_line = st.lists(good | bad, min_size=2, max_size=2).map(row) | st.sampled_from(
    [b'1,"open', b"1,nan", b"1,1e999", b"1,2,3", b"1", b'"a"b,1', b"\xff,1", b"a\rb,1"]
)


def joined(lines, blanks, end):
    """A body of the lines with blank ones among them."""
    mixed = []
    for place, line in enumerate(lines):
        mixed += [*blanks[place : place + 1], line]
    return end.join([*mixed, b""])


@settings(max_examples=150, deadline=None)
@given(st.lists(json_line, max_size=30), st.lists(blank, max_size=3), ends)
def test_kept_json_lines_are_answered_as_each_is_alone_in_their_order(lines, blanks, end):
    found = scored(joined(lines, blanks, end))
    answers = found.body.split(b"\n")[:-1]
    assert len(answers) == found.rows_in == found.rows_out == len(lines)
    failed = {failure.record: failure.reason for failure in found.failures}
    for place, (line, answer) in enumerate(zip(lines, answers, strict=True)):
        expected = alone(line, LINES, Policy())
        if expected is None:
            assert json.loads(answer) == {ERROR_KEY: failed.pop(place)}
        else:
            assert answer + b"\n" == expected
    assert not failed


@settings(max_examples=150, deadline=None)
@given(st.lists(csv_line, max_size=30), st.lists(blank, max_size=3), ends)
def test_kept_csv_rows_are_answered_as_each_is_alone_in_their_order(lines, blanks, end):
    policy = Policy(keep_errors=True, header="a,b")
    found = scored(b"\xef\xbb\xbf" + joined([b"a,b", *lines], blanks, end), CSV, policy)
    answers = found.body.split(b"\n")[:-1]
    assert len(answers) == found.rows_in == found.rows_out == len(lines)
    failed = {failure.record: failure.reason for failure in found.failures}
    for place, (line, answer) in enumerate(zip(lines, answers, strict=True)):
        expected = alone(line, CSV, Policy(header="a,b"))
        if expected is None:
            assert next(csv.reader([answer.decode()])) == [ERROR_KEY, failed.pop(place)]
        else:
            assert answer + b"\n" == expected
    assert not failed


@settings(max_examples=60, deadline=None)
@given(st.lists(json_line, max_size=12), st.sampled_from(["", CSV, "application/json"]))
def test_without_keep_a_body_is_answered_as_an_endpoint_does_or_refused_alike(lines, accept):
    body = b"\n".join(lines)
    kind = media.content_type(LINES)
    request = exchange.Request(body, kind, media.accepted(accept, kind.format))
    try:
        expected = exchange.attempt(predictor_of(Moody()), request, {}).body
    except Refusal as refusal:
        with pytest.raises(type(refusal)):
            scored(body, policy=Policy(), accept=accept)
    else:
        assert scored(body, policy=Policy(), accept=accept).body == expected


@pytest.mark.parametrize("body", [b'{"instances": [1, "a"]}', b'{"a": 1}', b"[1, 2]", b"[]"])
@pytest.mark.parametrize("policy", [KEEP, Policy()])
def test_json_bodies_are_answered_as_at_an_endpoint(body, policy):
    kind = media.content_type("application/json")
    request = exchange.Request(body, kind, media.accepted("", kind.format))
    expected = exchange.attempt(predictor_of(Moody()), request, {}).body
    assert scored(body, "application/json", policy).body == expected


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'["xcrash"]', [{ERROR_KEY: "predict raised RuntimeError: the model broke"}]),
        (b'{"instances": ["xnan"]}', "predictions"),
    ],
)
def test_json_bodies_hold_their_kept_errors_in_place(body, answer):
    found = json.loads(scored(body, "application/json").body)
    assert answer in (found, *found)
    assert len(scored(body, "application/json").failures) == 1


def test_lines_can_be_answered_as_one_json_list_with_the_errors_in_place():
    found = scored(b'1\n{\n"xcrash"\n2\n', accept="application/json")
    assert [ERROR_KEY in one for one in json.loads(found.body)] == [False, True, True, False]


def test_few_bad_records_cost_few_calls():
    handler = Moody()
    lines = [b"1"] * 4096
    lines[1000] = lines[3000] = b'"xcrash"'
    found = scored(b"\n".join(lines), handler=handler)
    assert [failure.record for failure in found.failures] == [1000, 3000]
    assert len(handler.calls) < 2 * 2 * 12 + 2
    assert sum(handler.calls) < 4 * 4096


def test_records_that_cannot_be_decoded_do_not_split_the_call_for_the_others():
    handler = Moody()
    assert len(scored(b"1\n{\n2\n{\n3\n", handler=handler).failures) == 2
    assert handler.calls == [3]


def test_a_handler_that_changes_its_instances_sees_each_retry_as_it_came():
    class Eats:
        def preprocess(self, instances):
            return [instance.pop("key") for instance in instances]

        def predict(self, inputs):
            return [1 / one for one in inputs]

    found = scored(b'{"key": 1}\n{"key": 0}\n{"key": 4}\n{}\n', handler=Eats())
    assert found.body.splitlines()[0::2] == [b"1.0", b"0.25"]
    assert [failure.reason for failure in found.failures] == [
        "predict raised ZeroDivisionError: division by zero",
        "preprocess: KeyError: 'key'",
    ]


def test_reasons_are_on_one_line_and_do_not_depend_on_how_the_body_was_cut():
    class Wordy:
        def predict(self, inputs):
            raise RuntimeError("one\ntwo\x1b[31m" + "x" * 5000)

    reasons = {failure.reason for failure in scored(b"1\n2\n3\n", handler=Wordy()).failures}
    assert len(reasons) == 1
    reason = reasons.pop()
    assert reason.isprintable()
    assert len(reason) < 2100


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{\n1\n", "column 2: nothing where a JSON value was expected, found ''"),
        (b'1\n"xrefuse"\n', "preprocess: ValueError: no instance like this"),
        (b'1\n"xcrash"\n', "predict raised RuntimeError: the model broke"),
        (b'1\n"xdrop"\n', "predict returned 0 predictions for 1 instances"),
        (b'1\n"xtwice"\n', "predict returned 2 predictions for 1 instances"),
        (b'1\n"xnan"\n', "prediction 0 is {'nan': nan, 'of': '\"xnan\"'}; expected finite numbers"),
    ],
)
def test_a_kept_failure_says_why(body, reason):
    (failure,) = scored(body).failures
    assert failure.reason.startswith(reason)


def test_a_body_that_only_fails_as_a_whole_is_answered_whole_by_halves():
    class Small:
        def predict(self, inputs):
            if len(inputs) > 3:
                raise MemoryError
            return inputs

    found = scored(b"1\n2\n3\n4\n5\n", handler=Small())
    assert (found.body, found.failures) == (b"1\n2\n3\n4\n5\n", ())


def test_phases_of_all_calls_of_a_body_are_added_up():
    phases = {}
    scored(b'1\n"xcrash"\n2\n', phases=phases)
    assert set(phases) == {"decode", "preprocess", "predict", "postprocess", "encode"}
    assert all(seconds > 0 for seconds in phases.values())


@pytest.mark.parametrize(
    ("body", "content_type", "error", "words"),
    [
        (b"1\n\n{]\n", LINES, BadBody, "jsonlines: line 3: column 2: "),
        (b"\n1,2\n3\n", CSV, BadBody, "csv: line 3: a row of 1 cells; expected 2"),
        (b"1,2\n\n3,nan\n", CSV, BadBody, "csv: line 3: column 2: 'nan' is not a finite number"),
        (b'1,2\n3,"a\nb"\n', CSV, BadBody, "csv: line 2: a quoted field goes on"),
        (b"1,2\n\xff,2\n", CSV, BadBody, "csv: line 2: byte 0: .* is not UTF-8"),
        (b'1\n"xrefuse"\n', LINES, BadBody, "no instance like this"),
        (b'1\n"xcrash"\n', LINES, HandlerFailed, "the model broke"),
        (b'1\n"xdrop"\n', LINES, BadPredictions, "1 predictions for 2 instances"),
        (b'1\n"xnan"\n', LINES, BadPredictions, "prediction 1 is"),
        (b"{", "application/json", BadBody, "line 1"),
    ],
)
def test_without_keep_the_first_bad_record_refuses_the_body_and_its_line_is_named(
    body, content_type, error, words
):
    with pytest.raises(error, match=words):
        scored(body, content_type, Policy())


def test_the_line_named_counts_the_header_and_blank_lines():
    with pytest.raises(BadBody, match="line 4: a row of 1 cells"):
        scored(b"a,b\n\n1,2\n3\n", CSV, Policy(header="a,b"))


def test_a_body_whose_records_cannot_be_counted_is_refused_under_keep_too():
    with pytest.raises(BadBody):
        scored(b"[1, 2", "application/json")


@pytest.mark.parametrize(("body", "content_type"), [(b"", LINES), (b"\n \r\n", LINES), (b"\n\n", CSV)])
@pytest.mark.parametrize("policy", [KEEP, Policy()])
def test_no_records_are_no_lines_and_no_call(body, content_type, policy):
    handler = Moody()
    found = scored(body, content_type, policy, handler=handler)
    assert (found.body, found.rows_in, found.rows_out, handler.calls) == (b"", 0, 0, [])


class Named:
    """Answers an instance with itself."""

    def predict(self, inputs):
        return inputs


def test_the_header_is_no_record_and_names_the_columns():
    found = scored(b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,\r\na,b\r\n", CSV, Policy(header="a,b"), LINES, Named())
    assert found.body == b'{"a":1,"b":"x"}\n{"a":2,"b":null}\n'
    assert (found.rows_in, found.rows_out) == (2, 2)


def test_without_a_header_rows_are_lists():
    assert scored(b"a,b\n1,x\n", CSV, Policy(), LINES, Named()).body == b'["a","b"]\n[1,"x"]\n'


@pytest.mark.parametrize(
    ("predictions", "names"),
    [
        ([{"p": 1, "q r": 2}], b"p,q r"),
        ([[1, 2, 3]], b"prediction_1,prediction_2,prediction_3"),
        (np.array([[1.0, 2.0]]), b"prediction_1,prediction_2"),
        ([1.5], b"prediction"),
        (["x"], b"prediction"),
    ],
)
def test_under_join_the_header_is_answered_with_the_names_of_the_predictions_columns(predictions, names):
    class Fixed:
        def predict(self, inputs):
            return predictions

    policy = Policy(header="a,b", join=True)
    found = scored(b"a,b\n1,2\n", CSV, policy, handler=Fixed())
    assert found.body.split(b"\n")[0] == names
    assert (found.rows_in, found.rows_out, found.body.count(b"\n")) == (1, 1, 2)


def test_under_join_a_header_without_a_prediction_is_answered_too():
    policy = Policy(keep_errors=True, header="a", join=True)
    assert scored(b"a\n", CSV, policy).body == b"prediction\n"
    answer = scored(b"xcrash\na\n", CSV, policy, handler=Moody())
    assert answer.body.split(b"\n")[1:] == [b"prediction", b""]
    assert answer.failures[0].record == 0


def test_a_first_row_of_another_width_does_not_cost_the_others():
    found = scored(b"1\n1,2\n3,4\n", CSV)
    assert [failure.record for failure in found.failures] == [0]


def test_objects_with_other_keys_than_the_first_fail_alone_in_csv():
    found = scored(b'{"a":1}\n{"b":1}\n{"a":2}\n', accept=CSV, handler=Named())
    assert [failure.record for failure in found.failures] == [1]
    assert found.body.split(b"\n")[0::2] == [b"1", b"2"]


def test_a_prediction_with_a_line_end_is_not_written_over_two_lines():
    body = b'"a\\nb"\n"c"\n'
    assert scored(body, handler=Named()).body == body
    with pytest.raises(NotAcceptable, match="line end"):
        scored(body, policy=Policy(), accept=CSV, handler=Named())
    found = scored(body, accept=CSV, handler=Named())
    assert (found.rows_out, [failure.record for failure in found.failures]) == (2, [0])


def test_an_array_handler_answers_arrays_and_keeps_the_rows_that_make_none():
    class Sums:
        def predict(self, inputs):
            return inputs.sum(axis=1)

    found = scored(b"[1,2]\n[1]\n[3,4]\n", handler=predictor_of(Sums(), to_array))
    # A row of one is a matrix of its own: alone, it can be summed.
    assert found.body == b"3\n1\n7\n"
    assert scored(b"[1,2]\n[null,1]\n", handler=predictor_of(Sums(), to_array)).failures[0].record == 1


def test_an_array_as_the_answer_has_no_place_for_an_error():
    class Same:
        def predict(self, inputs):
            return [one + 0 for one in inputs]

    npy = "application/x-npy"
    found = scored(b"1\n2\n", accept=npy, handler=Same())
    assert np.load(io.BytesIO(found.body)).tolist() == [1, 2]
    with pytest.raises(NotAcceptable, match="no place for a failed record"):
        scored(b'1\n"x"\n', accept=npy, handler=Same())


def test_rows_out_are_the_lines_that_were_written():
    found = scored(b"1\n2\n", policy=Policy())
    assert (found.rows_out, found.body.count(b"\n"), found.failures) == (2, 2, ())
    assert Failure(3, "why") == Failure(record=3, reason="why")
