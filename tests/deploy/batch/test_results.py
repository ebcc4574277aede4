import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.batch import results
from deploy.batch.kinds import CSV, JSONLINES
from deploy.batch.results import Answers, Failure, Form


def read(body: bytes, form: Form) -> Answers:
    return results.read([body], form)


@pytest.mark.parametrize(
    ("names", "keys", "found"),
    [
        (["a.csv", "x/b.csv"], ["a.csv.out", "x/b.csv.out"], {"a.csv": 0, "x/b.csv": 1}),
        (["a.csv"], ["in/2024/a.csv.out"], {"a.csv": 0}),
        (["in/2024/a.csv"], ["a.csv.out"], {"in/2024/a.csv": 0}),
        (["in/2024/a.csv"], ["in/a.csv.out"], {"in/2024/a.csv": 0}),
        (["x/a.csv", "y/a.csv"], ["a.csv.out"], {}),
        (["a.csv", "x/a.csv"], ["x/a.csv.out"], {"x/a.csv": 0}),
        (["a.csv"], ["p/a.csv.out", "q/a.csv.out"], {}),
        (["a.csv", "aa.csv"], ["aa.csv.out"], {"aa.csv": 0}),
        (["a.csv"], ["a.csv", "a.csv.out.tmp", "report.json"], {}),
    ],
)
def test_a_result_is_found_by_its_name_or_by_an_end_of_it_that_only_one_has(names, keys, found):
    assert results.matched(names, keys, private=True) == {name: keys[at] for name, at in found.items()}


def test_where_others_results_may_lie_a_result_has_its_very_name():
    keys = ["other/a.csv.out", "b.csv.out"]
    assert results.matched(["a.csv", "sub/b.csv"], keys, private=False) == {}
    assert results.matched(["a.csv", "b.csv"], keys, private=False) == {"b.csv": "b.csv.out"}


@pytest.mark.timeout(60)
def test_results_of_many_other_files_are_not_compared_one_by_one():
    names, keys = ([f"{day}/{n}.csv" for n in range(day, day + 20_000)] for day in (1, 50_000))
    keys = [f"{key}.out" for key in keys]
    assert results.matched(names, [*keys, "x/7.csv.out"], private=True) == {"1/7.csv": "x/7.csv.out"}


def test_a_failed_row_may_stand_behind_a_field_of_any_length():
    body = b"x" * 200_000 + b",slipway_error,bad\n"
    assert read(body, Form(CSV, kept=True)).failures == [Failure(0, "bad")]


def test_failed_rows_are_found_in_json_lines_alone_or_joined():
    body = b'1\n{"slipway_error":"bad"}\n\n{"a":1,"SageMakerOutput":{"slipway_error":"worse"}}\n'
    body += b'{"slipway_error":"a prediction","x":1}\n"slipway_error"\n{"slipway_error" no json\n'
    assert read(body, Form(JSONLINES, kept=True)).failures == [Failure(1, "bad"), Failure(2, "worse")]
    assert read(body, Form(JSONLINES, kept=True)).tally.records == 6
    assert read(body, Form(JSONLINES)).failures == []


def test_failed_rows_are_found_in_csv_alone_or_joined_and_after_a_header():
    body = b'x,prediction\n1,2\nslipway_error,bad\n3,"slipway_error","so, ""worse"""\nslipway_error\n'
    found = read(body, Form(CSV, kept=True, headed=True))
    assert found.failures == [Failure(1, "bad"), Failure(2, 'so, "worse"')]


@given(
    st.lists(st.sampled_from(["", " ", "1", "x"]), max_size=30), st.data(), st.booleans(), st.integers(1, 9)
)
def test_a_record_s_line_is_where_it_stands_among_blank_lines_and_behind_a_header(lines, data, headed, block):
    body = "".join(f"{line}\n" for line in (["head"] if headed else []) + lines).encode()
    numbers = [n for n, line in enumerate(body.split(b"\n"), 1) if line.strip()][headed:]
    records = data.draw(st.lists(st.sampled_from(range(len(numbers))), unique=True)) if numbers else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy.batch.counting.BLOCK", block)
        found = results.lines_of(io.BytesIO(body), sorted(records), headed)
    assert found == [numbers[record] for record in sorted(records)]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)))
def test_reasons_come_through_whatever_they_hold(reasons):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(["slipway_error", reason] for reason in reasons)
    lines = "".join(json.dumps({"slipway_error": reason}) + "\n" for reason in reasons)
    for body, accept in ((text.getvalue(), CSV), (lines, JSONLINES)):
        assert [one.reason for one in read(body.encode(), Form(accept, kept=True)).failures] == reasons


def test_an_errors_file_has_a_line_for_each_failure():
    body = results.errors_file([Failure(0, "é"), Failure(3, 'a "b"')], [2, 7])
    assert body.decode().splitlines() == ['{"line": 2, "reason": "é"}', '{"line": 7, "reason": "a \\"b\\""}']
