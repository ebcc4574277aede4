"""Parquet to instances: what JSON can hold comes out, and the rest is refused by its column or row."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving import codecs, exchange
from inference.serving.codecs import media, parquet
from inference.serving.codecs.inputs import to_list
from inference.serving.errors import BadBody
from inference.serving.jobs import scoring
from inference.serving.jobs.scoring import Policy
from inference.serving.predictor import Predictor


def written(table, **options):
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def read(values, kind):
    rows = parquet.decode(written(pa.table({"x": pa.array(values, kind)})))
    return [row["x"] for row in rows]


cells = st.fixed_dictionaries(
    {
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.none() | st.booleans(),
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "list": st.none() | st.lists(st.floats(-1, 1), max_size=3),
        "words": st.none() | st.lists(st.sampled_from(["a", "b"]), max_size=3),
        "object": st.none() | st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.sampled_from("xy")}),
    }
)
SCHEMA = pa.schema(
    {
        "whole": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "text": pa.string(),
        "list": pa.list_(pa.float64()),
        "words": pa.list_(pa.string()),
        "object": pa.struct({"a": pa.int64(), "b": pa.string()}),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(cells, max_size=12), st.integers(1, 5))
def test_rows_come_back_as_objects_in_their_order(rows, group):
    body = written(pa.Table.from_pylist(rows, SCHEMA), row_group_size=group)
    assert parquet.decode(body) == rows
    assert parquet.decode(bytearray(body)) == rows


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (dt.datetime(2013, 11, 1, 5, 15), pa.timestamp("ns"), "2013-11-01T05:15:00"),
        (dt.datetime(2013, 11, 1, 5, 15, 0, 250), pa.timestamp("us"), "2013-11-01T05:15:00.000250"),
        (
            dt.datetime(2013, 11, 1, 5, 15),
            pa.timestamp("ms", "America/New_York"),
            "2013-11-01T05:15:00+00:00",
        ),
        (1383282900000000123, pa.timestamp("ns"), "2013-11-01T05:15:00"),
        (dt.date(2013, 11, 1), pa.date32(), "2013-11-01"),
        (dt.date(2013, 11, 1), pa.date64(), "2013-11-01"),
        (dt.time(5, 15), pa.time32("ms"), "05:15:00"),
        (18900000000123, pa.time64("ns"), "05:15:00"),
        (decimal.Decimal("12.30"), pa.decimal128(10, 2), 12.3),
        (decimal.Decimal(10**18), pa.decimal128(38, 0), 10**18),
        (decimal.Decimal(10**30), pa.decimal128(38, 0), 1e30),
        (1.5, pa.float16(), 1.5),
        (2**63, pa.uint64(), 2**63),
        ("x", pa.dictionary(pa.int8(), pa.string()), "x"),
        ("x", pa.large_string(), "x"),
        ([1, 2], pa.list_(pa.int8(), 2), [1, 2]),
        (dt.timedelta(seconds=5), pa.duration("s"), 5),
    ],
)
def test_a_value_becomes_what_json_can_hold(value, kind, found):
    assert read([value, None], kind) == [found, None]
    json.dumps(found)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([b"\xff"], pa.binary()),
        ([b"ab"], pa.binary(2)),
        ([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        ([[dt.date(2013, 1, 1)]], pa.list_(pa.date32())),
        ([b"0" * 16], pa.uuid()),
    ],
)
def test_a_kind_that_json_has_no_form_for_is_refused_by_its_column(values, kind):
    with pytest.raises(BadBody, match="column 'x' holds .*; expected booleans, numbers, text"):
        read(values, kind)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, None, float("nan")], pa.float64()),
        ([1.0, None, float("inf")], pa.float32()),
        ([1.0, None, float("-inf")], pa.float16()),
        ([[1.0], None, [2.0, float("nan")]], pa.list_(pa.float64())),
        ([{"a": 1.0}, None, {"a": float("nan")}], pa.struct({"a": pa.float64()})),
    ],
)
def test_a_number_that_is_not_finite_is_refused_by_its_row(values, kind):
    with pytest.raises(
        BadBody, match="row 3: column .x.: .* holds NaN or infinity; expected finite numbers, or null"
    ):
        read(values, kind)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table([[1], [2]], names=["a", "a"]), "column 'a' is there twice"),
        (pa.table({}), "no columns"),
        (pa.table({"x": pa.nulls(10_000_001, pa.int8())}), "10000001 values; expected up to 10000000"),
        (pa.table({"x": pa.array([2**62], pa.timestamp("us"))}), "date value out of range"),
    ],
)
def test_a_table_that_makes_no_instances_is_refused(table, words):
    with pytest.raises(BadBody, match=words):
        parquet.decode(written(table))


def test_few_bytes_that_stand_for_much_text_take_little_memory():
    one = pa.array(["a" * 1_000_000])
    plain = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), one)
    body = written(pa.table({"x": plain}))
    assert len(body) < 100_000
    rows = parquet.decode(body)
    assert len({id(row["x"]) for row in rows}) < 10


def test_few_bytes_that_stand_for_much_text_inside_lists_are_refused():
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array(["a" * 100_000]))
    lists = pa.ListArray.from_arrays(pa.array([0, 5_000], pa.int32()), words)
    with pytest.raises(BadBody, match="5000 texts of up to 100000 bytes"):
        parquet.decode(written(pa.table({"x": lists})))


@pytest.mark.parametrize(
    "body", [b"", b"PAR1", b"PAR1" * 4, b"PAR1\0\0\0\0\xff\xff\xff\xffPAR1", b"PK\x03\x04" + b"\0" * 20]
)
def test_what_is_no_parquet_file_is_bad_body(body):
    with pytest.raises(BadBody):
        parquet.decode(body)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_bad_body(seed):
    chance = random.Random(seed)
    body = bytearray(DAMAGEABLE)
    for _ in range(chance.randint(1, 4)):
        body[chance.randrange(4, len(body) - 4)] = chance.randrange(256)
    try:
        assert isinstance(parquet.decode(body), list)
    except BadBody as error:
        assert len(str(error)) < 600


DAMAGEABLE = written(pa.table({"s": ["x", None, "y"], "l": [[1.0], None, []], "w": [["a"], [], None]}))


def test_an_extension_type_is_never_made_from_the_bytes_of_a_file():
    made = []

    class Hostile(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.int64(), "tests.hostile")

        def __arrow_ext_serialize__(self):
            return b"bytes of the sender's choosing"

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            made.append(serialized)
            return cls()

    pa.register_extension_type(Hostile())
    try:
        body = written(pa.table({"x": pa.ExtensionArray.from_storage(Hostile(), pa.array([1, 2]))}))
        made.clear()
        pq.read_table(io.BytesIO(body))
        assert made, "pyarrow itself makes it"
        made.clear()
        assert parquet.decode(body) == [{"x": 1}, {"x": 2}]
        assert made == []
    finally:
        pa.unregister_extension_type("tests.hostile")


def test_parquet_is_answered_in_json_lines_unless_accept_says_otherwise():
    kind = media.content_type("application/x-parquet")
    assert kind == media.content_type("application/vnd.apache.parquet")
    assert media.accepted("", kind.format).format == media.JSON_LINES
    assert media.accepted("*/*", kind.format).format == media.JSON_LINES
    assert media.accepted("text/csv", kind.format).format == media.CSV
    assert codecs.decode(DAMAGEABLE, kind).instances[0] == {"s": "x", "l": [1.0], "w": ["a"]}


def test_a_kept_batch_fails_the_rows_that_are_not_finite_alone():
    body = written(pa.table({"x": [1.0, float("nan"), 3.0]}))
    kind = media.content_type("application/x-parquet")
    request = exchange.Request(body, kind, media.accepted("", kind.format))
    predictor = Predictor(to_list, None, lambda rows: rows, None)
    found = scoring.score(predictor, request, Policy(keep_errors=True), {})
    assert found.body.split(b"\n")[0::2] == [b'{"x":1.0}', b'{"x":3.0}']
    assert (found.rows_in, found.rows_out, found.failures[0].record) == (3, 3, 1)
    with pytest.raises(BadBody, match="row 2: column 'x'"):
        scoring.score(predictor, request, Policy(), {})
