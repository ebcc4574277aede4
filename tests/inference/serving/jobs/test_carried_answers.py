"""What another server's handler answered, as one line for each record, its numbers as they were written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.serving.errors import BadPredictions, Refusal
from inference.serving.handlers import Answer
from inference.serving.jobs.carried_answers import Said, Unanswered, of_many, of_one

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def texts(said: list[Said]) -> list[str]:
    return [one.text for one in said]


def many(body: str, count: int, kind: str = "") -> list[str]:
    return texts(of_many(Answer(200, body.encode(), kind), count))


@pytest.mark.parametrize("kind", [JSON, "", "application/json; charset=utf-8", "text/html"])
@pytest.mark.parametrize("body", ["[1.50, [2], 1E5]", ' {"a": [0], "predictions" : [1.50 ,[2],1E5]}\n'])
def test_a_list_bare_or_under_predictions_has_an_answer_for_each(body, kind):
    assert many(body, 3, kind) == ["1.50", "[2]", "1E5"]


def test_lines_are_answers_too_whatever_stands_in_them():
    assert many("0.5\r\nhigh\n\n[1, 2]\n", 3) == ["0.5", "high", "[1, 2]"]
    kinds = [said.is_json for said in of_many(Answer(200, b'0.5\nhigh\n"x"\n'), 3)]
    assert kinds == [True, False, True]


def test_what_the_answer_is_called_says_whether_it_is_a_list_or_a_line():
    assert many("[7]", 1, JSON) == ["7"]
    assert many("[7]", 1, LINES) == many("[7]", 1, "application/x-ndjson") == ["[7]"]
    assert of_many(Answer(200, b'"7"\n', CSV), 1) == [Said('"7"', False)]
    assert of_many(Answer(200, b'"7"\n"8"', CSV), 2) == [Said('"7"', False), Said('"8"', False)]


def test_an_answer_to_one_of_many_may_be_any_document():
    assert many('{"label":\n "a b"}', 1) == ['{"label":"a b"}']
    assert many("0.5", 1, JSON) == ["0.5"]


@pytest.mark.parametrize(
    ("body", "kind", "count"),
    [
        ("[1, 2]", JSON, 3),
        ("[1, 2]", "", 3),
        ("[]", JSON, 1),
        ("[1]\n[2]", LINES, 1),
        ('{"predictions": [1]}', JSON, 2),
        ('{"scores": [1, 2]}', JSON, 2),
        ("1\n2", CSV, 3),
        ("0.5", JSON, 2),
    ],
)
def test_an_answer_that_does_not_hold_one_for_each_record_is_none(body, kind, count):
    with pytest.raises(BadPredictions, match=f"answered {count} records with .* expected one for each"):
        many(body, count, kind)


def test_json_over_several_lines_is_put_on_one_and_its_texts_stay():
    said = of_one(Answer(200, b'{\n  "a b": "c \\" \\\\ d",\r\n\t"n": 1.00\n}\n'))
    assert said == Said('{"a b":"c \\" \\\\ d","n":1.00}', True)


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_every_list_of_json_comes_apart_into_its_own_elements(values, indent, under):
    document = {"other": values, "predictions": values} if under else values
    answer = Answer(200, json.dumps(document, indent=indent, ensure_ascii=under).encode(), JSON)
    found = texts(of_many(answer, len(values)))
    assert [json.loads(text) for text in found] == values
    assert not any("\n" in text for text in found)


@given(VALUES)
def test_every_document_is_the_answer_to_one_record(value):
    said = of_one(Answer(200, json.dumps(value, indent=2).encode()))
    assert said.is_json and "\n" not in said.text and json.loads(said.text) == value


def test_a_text_on_one_line_is_the_answer_to_one_record():
    assert of_one(Answer(200, b"positive\n", "text/plain")) == Said("positive", False)
    assert of_one(Answer(200, b"[1]", CSV)) == Said("[1]", False)
    with pytest.raises(BadPredictions, match="2 lines that are no JSON"):
        of_one(Answer(200, b"a\nb\n"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "with nothing"),
        (b" \n", "with nothing"),
        (b"\x80PK", "3 bytes that are no text"),
        (b'{"a": NaN}', "NaN, which JSON has not"),
        (b"[1, -Infinity]", "-Infinity, which JSON has not"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    ],
)
def test_what_cannot_stand_in_a_file_of_lines_is_refused(body, why):
    for taken in (of_one, lambda answer: of_many(answer, 2)):
        with pytest.raises(BadPredictions, match=why):
            taken(Answer(200, body))


def test_half_of_a_surrogate_pair_and_a_huge_number_stay_as_they_are_written():
    body = b'["\\ud800", 123456789012345678901234567890, 1e999]'
    assert texts(of_many(Answer(200, body, JSON), 3)) == [
        '"\\ud800"',
        "123456789012345678901234567890",
        "1e999",
    ]


@pytest.mark.parametrize(
    ("answer", "said", "status"),
    [
        (Answer(415, b'{"code": 415, "message": "no such type"}'), "415: no such type", 415),
        (Answer(400, b'{"error": {"message": "x"}}'), "400: x", 400),
        (Answer(500, b"Traceback\n  File\nValueError: bad\n"), "500: ValueError: bad", 500),
        (Answer(400, b"[1]"), "400: [1]", 400),
        (Answer(201, b"made"), "201: made", 500),
        (Answer(500, b""), "500: nothing", 500),
        (Answer(503, b"{}", failure=KeyError("x")), "503: KeyError: 'x'", 503),
    ],
)
def test_an_error_is_told_with_its_status_and_what_it_says(answer, said, status):
    with pytest.raises(Unanswered) as raised:
        of_one(answer)
    assert str(raised.value) == f"the handler answered {said}"
    assert raised.value.status == status
    assert raised.value.__cause__ is answer.failure
    assert isinstance(raised.value, Refusal)
