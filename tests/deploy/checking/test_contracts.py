"""One sample as both clouds post it, and answers that are the same in either form."""

from __future__ import annotations

import pytest

from deploy.checking.contracts import JSON, JSON_LINES, Ask, Reply, asks, difference


def lines(body: str) -> Reply:
    return Reply(200, JSON_LINES, body)


def document(body: str) -> Reply:
    return Reply(200, JSON, body)


def test_a_sample_goes_as_a_line_to_one_and_in_an_envelope_to_the_other():
    assert asks(b'[1, "a"]', False) == (Ask(b'[1, "a"]', JSON_LINES), Ask(b'{"instances": [[1, "a"]]}', JSON))


def test_a_handler_of_another_server_gets_the_whole_request_from_both():
    assert asks(b'{"inputs": "a"}', True) == (Ask(b'{"inputs": "a"}', JSON),) * 2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lines('{"delay": 12}\n'), document('{"predictions": [{"delay": 12}]}')),
        (lines("1\n2\n"), document('{"predictions": [1, 2]}')),  # the pieces of a stream
        (lines("1\n2\n"), document('{"predictions": [[1, 2]]}')),
        (lines(""), document('{"predictions": []}')),
        (lines("0.30000001\n"), document('{"predictions": [0.3]}')),
        (lines("2\n"), document('{"predictions": [2.0]}')),
        (document('{"label": "a"}'), document('{"label":"a"}')),
        (Reply(200, "text/plain", "yes"), Reply(200, "text/plain", "yes")),
    ],
)
def test_the_same_answer_in_another_form_is_no_difference(ours, theirs):
    assert difference(ours, theirs) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (lines("1\n"), Reply(500, JSON, "1"), "status 200 and 500"),
        (lines("1\n"), document('{"predictions": [2]}'), "predictions[0] is 1 and 2"),
        (
            lines('{"a": {"b": [1, 2]}}\n'),
            document('{"predictions": [{"a": {"b": [1, 3]}}]}'),
            "predictions[0].a.b[1] is 2 and 3",
        ),
        (lines("0.3001\n"), document('{"predictions": [0.3]}'), "predictions[0] is 0.3001 and 0.3"),
        (lines("1\n"), document('{"predictions": [true]}'), "predictions[0] is 1 and true"),
        (lines("1\n"), document('{"predictions": []}'), "predictions[0] is 1 and nothing"),
        (lines('{"a": 1}\n'), document('{"predictions": [{}]}'), "predictions[0].a is 1 and nothing"),
        (Reply(200, "text/plain", "yes"), Reply(200, "text/plain", "no"), 'predictions is "yes" and "no"'),
    ],
)
def test_the_first_difference_is_told_with_its_path(ours, theirs, told):
    assert difference(ours, theirs) == told
