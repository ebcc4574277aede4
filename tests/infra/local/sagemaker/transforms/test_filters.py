"""DataProcessing's JSONPath, operator by operator (batch-transform-data-processing)."""

import pytest

from infra.local.sagemaker.transforms.filters import FilterError, parse, select, suits_rows

RECORD = {"id": 7, "features": [1, 2, 3, 4], "who": {"name": "A", "age": 3}}
ROW = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("path", "value", "chosen"),
    [
        ("$", RECORD, RECORD),
        ("$.id", RECORD, 7),
        ("$.who.name", RECORD, "A"),
        ("$['id']", RECORD, 7),
        ('$["id"]', RECORD, 7),
        ("$['id','who']", RECORD, {"id": 7, "who": {"name": "A", "age": 3}}),
        ("$['who', 'id']", RECORD, {"who": {"name": "A", "age": 3}, "id": 7}),
        ("$.who.['name','age']", RECORD, {"name": "A", "age": 3}),
        ("$.who['name','age']", RECORD, {"name": "A", "age": 3}),
        ("$.who.*", RECORD, ["A", 3]),
        ("$[*]", ROW, ROW),
        ("$.features[0]", RECORD, 1),
        ("$.features[-1]", RECORD, 4),
        ("$[1]", ROW, "b"),
        ("$[0,2]", ROW, ["a", "c"]),
        ("$[0,-1]", ROW, ["a", "d"]),
        ("$[1:]", ROW, ["b", "c", "d"]),
        ("$[:2]", ROW, ["a", "b"]),
        ("$[1:3]", ROW, ["b", "c"]),
        ("$[-2:]", ROW, ["c", "d"]),
        ("$[0,2:]", ROW, ["a", "c", "d"]),
        ("$[*].n", [{"n": 1}, {"n": 2}], [1, 2]),
    ],
)
def test_an_operator_selects_its_part(path, value, chosen):
    assert select(parse(path), value) == chosen


def test_several_names_come_in_the_filter_s_order():
    assert list(select(parse("$['who','id']"), RECORD)) == ["who", "id"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id",
        ".id",
        "$.",
        "$id",
        "$[",
        "$[]",
        "$['a]",
        "$['a',]",
        "$[1",
        "$[a]",
        "$[1:2:3]",
        "$..a",
        "$.a b",
    ]
    + ["$[?(@.a>1)]", "$['a','b'].c", "$['a',0]", "$ "],
)
def test_what_is_no_operator_of_sagemaker_s_is_refused(text):
    with pytest.raises(FilterError):
        parse(text)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("$.age", RECORD, "no 'age'"),
        ("$['id','age']", RECORD, "no 'age'"),
        ("$.id.x", RECORD, "no 'x'"),
        ("$[4]", ROW, "index 4 is outside"),
        ("$[-5]", ROW, "index -5 is outside"),
        ("$[0]", RECORD, "no array"),
        ("$.id[*]", RECORD, "neither names nor indexes"),
    ],
)
def test_a_record_without_what_the_filter_names_is_an_error(path, value, said):
    with pytest.raises(FilterError, match=said):
        select(parse(path), value)


def test_only_indexes_suit_csv():
    assert all(suits_rows(parse(text)) for text in ("$", "$[0]", "$[1:]", "$[0,-1]", "$[*]"))
    assert not any(suits_rows(parse(text)) for text in ("$.a", "$['a']", "$[0][1]", "$[0].a"))
