"""Two answers compared: what differs is named, and numbers may be as far apart as the tolerance says."""

import json

import pytest

from deploy.releasing.differences import between
from deploy.sections.release import Tolerance
from deploy.target import Answer

EXACT = Tolerance()


def answers(old, new, kind="application/json"):
    return [Answer(one if isinstance(one, bytes) else json.dumps(one).encode(), kind) for one in (old, new)]


def told(old, new, tolerance=EXACT, kind="application/json"):
    return [str(one) for one in between(*answers(old, new, kind), tolerance)]


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        (1, 2, ["answer: 1 -> 2 (+1)"]),
        ([1, 2.5], [1, 2], ["[1]: 2.5 -> 2 (-0.5)"]),
        ({"a": {"b": [0, 1]}}, {"a": {"b": [0, 4]}}, ["a.b[1]: 1 -> 4 (+3)"]),
        ({"a": 1}, {"a": 1, "b": None}, ["b: nothing -> null"]),
        ({"a": 1, "b": "x"}, {"a": 1}, ['b: "x" -> nothing']),
        ([1, 2], [1], ["[1]: 2 -> nothing"]),
        ("cat", "dog", ['answer: "cat" -> "dog"']),
        (True, 1, ["answer: true -> 1"]),
        ([1], {"0": 1}, ['answer: [1] -> {"0": 1}']),
        (float("nan"), 1, ["answer: NaN -> 1 (+nan)"]),
        ({"a": 1, "b": 2}, {"b": 3, "a": 9}, ["a: 1 -> 9 (+8)", "b: 2 -> 3 (+1)"]),
    ],
)
def test_what_differs_is_named_with_old_new_and_by_how_much(old, new, difference):
    assert told(old, new) == difference


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (float("nan"), float("nan")), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([], [])]
)
def test_what_means_the_same_does_not_differ(old, new):
    assert told(old, new) == []


@pytest.mark.parametrize(
    ("tolerance", "new", "differs"),
    [
        ({"absolute": 1}, 101, False),
        ({"absolute": 1}, 101.5, True),
        ({"relative": 0.01}, 99, False),
        ({"relative": 0.01}, 98, True),
        ({"absolute": 5, "relative": 0.01}, 95, False),
        ({"absolute": 1, "relative": 0.1}, 90, False),
        ({"absolute": 1000}, float("nan"), True),
        ({"absolute": 1000}, float("inf"), True),
        ({"absolute": 1000}, 10**400, True),
        ({"absolute": 1000}, "100", True),
    ],
)
def test_the_larger_of_the_tolerances_holds_for_numbers_alone(tolerance, new, differs):
    assert bool(told([100], [new], Tolerance(**tolerance))) == differs


def test_lines_of_json_and_rows_of_csv_are_compared_field_by_field():
    assert told(b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n{"a": 3}', kind="application/jsonlines") == [
        "[1].a: 2 -> 3 (+1)"
    ]
    rows = b"eta,1.0,2\r\n", b"eta,1.00,3\n"
    assert told(*rows, kind="text/csv; charset=utf-8") == ["[0][2]: 2.0 -> 3.0 (+1)"]
    assert told(*rows, Tolerance(absolute=1), "text/csv") == []


def test_text_bytes_and_what_is_not_what_it_says_must_be_the_same():
    assert told(b"1.0", b"1.00", Tolerance(absolute=9), "text/plain") == ['answer: "1.0" -> "1.00"']
    assert told(b"\x93NUMPY\xff1", b"\x93NUMPY\xff2", kind="application/x-npy") != []
    assert told(b"{no json", b"{no json") == []
    assert told(b"{no json", b"{no  json") == ['answer: "{no json" -> "{no  json"']


def test_another_content_type_is_one_difference():
    old, new = Answer(b"1", "application/json"), Answer(b"1", "text/csv")
    assert [str(one) for one in between(old, new, EXACT)] == ["content type: application/json -> text/csv"]
