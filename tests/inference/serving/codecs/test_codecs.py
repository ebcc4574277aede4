"""Bytes to instances and back: what goes in comes out, and random bytes give nothing but BadBody."""

from __future__ import annotations

import io
import json
import math
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving import codecs
from inference.serving.codecs import Shape, media
from inference.serving.errors import BadBody, BadPredictions, NotAcceptable

TYPES = [
    "application/json",
    "application/jsonlines",
    "text/csv",
    "text/csv; header=present",
    "application/x-npy",
]
settings.register_profile("codecs", max_examples=60, deadline=None)
settings.load_profile("codecs")
finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]))
value = st.recursive(
    st.none() | st.booleans() | whole | finite | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
# Text that no reader takes for a number, an empty cell or infinity.
word = st.text("abcxyz ,\"'äß漢\r\n;", min_size=1).map(lambda t: f"w{t}")
cell = st.none() | st.integers(-(10**18), 10**18) | finite | word


def decoded(body, content_type):
    return codecs.decode(body, media.content_type(content_type))


@given(st.lists(value))
def test_json_lists_come_back(instances):
    assert json.loads(codecs.encode(instances, Shape.LIST, media.JSON)) == instances
    found = decoded(codecs.encode(instances, Shape.LIST, media.JSON), media.JSON)
    assert (found.instances, found.shape) == (instances, Shape.LIST)


@given(st.lists(value))
def test_enveloped_instances_come_back(instances):
    found = decoded(json.dumps({"instances": instances}).encode(), media.JSON)
    assert (found.instances, found.shape) == (instances, Shape.ENVELOPE)
    assert json.loads(codecs.encode(instances, Shape.ENVELOPE, media.JSON)) == {"predictions": instances}


@given(value)
def test_one_prediction_comes_back_alone(prediction):
    assert json.loads(codecs.encode([prediction], Shape.ONE, media.JSON)) == prediction


@given(st.lists(value))
def test_json_lines_come_back(instances):
    body = codecs.encode(instances, Shape.LIST, media.JSON_LINES)
    assert body.count(b"\n") == len(instances)
    assert decoded(body, media.JSON_LINES).instances == instances


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(cell, min_size=width, max_size=width))))
def test_csv_rows_come_back(rows):
    assert decoded(codecs.encode(rows, Shape.LIST, media.CSV), media.CSV).instances == rows


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1))
def test_npy_arrays_come_back(rows):
    body = codecs.encode(rows, Shape.LIST, media.NPY)
    assert np.load(io.BytesIO(body)).tolist() == rows
    assert decoded(body, media.NPY).instances.tolist() == rows


@given(st.sampled_from(TYPES), st.binary(max_size=300))
@settings(max_examples=300)
def test_random_bytes_are_instances_or_bad_body(content_type, body):
    try:
        assert decoded(body, content_type).instances is not None
    except BadBody as error:
        assert str(error)


@given(st.binary(max_size=300), st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00"]))
@settings(max_examples=300)
def test_random_npy_headers_are_bad_body(rest, version):
    length = len(rest).to_bytes(2 if version[0] == 1 else 4, "little")
    with pytest.raises(BadBody):
        decoded(b"\x93NUMPY" + version + length + rest, media.NPY)


@pytest.mark.parametrize("descr", ["|O", "<M8[s]", "<c16", "V8", "i4,f4", "<f16", "<U0", "|S4"])
def test_npy_types_that_are_not_plain_are_refused(descr):
    with pytest.raises(BadBody, match="dtype"):
        decoded(npy_of(descr, (1,), b"\0" * 16), media.NPY)


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ((10**12,), b""),
        ((2**62,), b"\0" * 8),
        ((2**40, 0), b""),
        ((-1,), b""),
        ((), b"\0" * 8),
        ([1], b"\0" * 8),
    ],
)
def test_an_npy_header_cannot_ask_for_more_than_is_there(shape, data):
    with pytest.raises(BadBody):
        decoded(npy_of("<f8", shape, data), media.NPY)


@pytest.mark.parametrize(
    "hostile", ["(" * 9000, "-" * 9000 + "1", "[" * 300 + "]" * 300, "{}", "__import__('os')"]
)
def test_a_hostile_npy_header_is_bad_body(hostile):
    body = b"\x93NUMPY\x01\x00" + len(hostile).to_bytes(2, "little") + hostile.encode()
    with pytest.raises(BadBody, match="header"):
        decoded(body, media.NPY)


@pytest.mark.parametrize("header", ["{'descr': '<f4', 'shape': (%s,)", "{'descr': %s, 'shape': (1,)"])
def test_a_number_too_long_to_be_written_is_bad_body(header):
    text = f"{header % ('0x' + 'f' * 6000)}, 'fortran_order': False}}".encode()
    with pytest.raises(BadBody):
        decoded(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text, "application/x-npy")


def test_an_array_full_of_nan_is_refused_without_a_list_of_all_its_places():
    file = io.BytesIO()
    np.save(file, np.full((100_000, *[1] * 31), np.nan, "f2"))
    body = bytearray(file.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(BadBody, match=r"nan at index \[0, 0, "):
            decoded(body, "application/x-npy")
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_npy_text_that_unicode_does_not_have_is_bad_body():
    with pytest.raises(BadBody, match="Unicode"):
        decoded(npy_of("<U1", (1,), b"\xff\xff\xff\x7f"), media.NPY)


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype=">i4"), np.array([True, False])]
)
def test_npy_of_any_layout_is_read_in_its_order_and_may_be_changed(array):
    found = decoded(npy(array), media.NPY).instances
    assert found.tolist() == array.tolist()
    assert found.flags.writeable
    assert found.dtype.isnative


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_of(descr, shape, data):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1", 1),
        ("-1", -1),
        ("0", 0),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("", None),
        ('""', None),
        ("007", "007"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        (" 1", " 1"),
        ("true", "true"),
        ("nancy", "nancy"),
        ("99999999999999999999", 1e20),
    ],
)
def test_a_csv_cell_is_a_number_only_where_it_is_written_as_one(written, read):
    cell = decoded(f"x,{written}".encode(), media.CSV).instances[0][1]
    assert (cell, type(cell)) == (read, type(read))


def test_csv_forgives_a_byte_order_mark_and_line_ends_at_the_end():
    assert decoded(b"\xef\xbb\xbf1,2\r\n\r\n", media.CSV).instances == [[1, 2]]


def test_an_empty_line_between_rows_is_refused_since_rows_are_counted():
    with pytest.raises(BadBody, match="row 2 is empty"):
        decoded(b"1\n\n2\n", media.CSV)


def test_csv_objects_are_rows_of_their_values_and_need_the_same_keys():
    assert (
        codecs.encode([{"a": 1, "b": True}, {"a": None, "b": "x,y"}], Shape.LIST, media.CSV)
        == b'1,true\n,"x,y"\n'
    )
    with pytest.raises(NotAcceptable, match="prediction 1"):
        codecs.encode([{"a": 1}, {"b": 1}], Shape.LIST, media.CSV)


@dataclass
class Named:
    value: float


@pytest.mark.parametrize("wanted", media.FORMATS)
@pytest.mark.parametrize(
    "bad", [math.nan, math.inf, -math.inf, np.float32("nan"), [1.0, math.nan], Named(math.nan)]
)
def test_a_prediction_that_is_not_finite_is_found_in_every_format(wanted, bad):
    with pytest.raises(BadPredictions, match="prediction 2 is .*; expected finite numbers"):
        codecs.encode([1.0, 2.0, bad], Shape.LIST, wanted)


@pytest.mark.parametrize("wanted", media.FORMATS)
def test_an_array_that_is_not_finite_is_found_in_every_format(wanted):
    with pytest.raises(BadPredictions, match="prediction 1 is"):
        codecs.encode(np.array([[1.0], [np.nan]]), Shape.LIST, wanted)


def test_a_missing_prediction_is_null_and_no_error():
    assert codecs.encode([None, "null"], Shape.LIST, media.JSON) == b'[null,"null"]'


def test_numpy_in_any_place_is_written_without_the_handler_converting():
    predictions = [
        {"p": np.float32(0.5), "v": np.arange(2)},
        [np.int64(1), np.bool_(True)],
        np.array(["a"]),
        {1: 2},
    ]
    expected = [{"p": 0.5, "v": [0, 1]}, [1, True], ["a"], {"1": 2}]
    assert json.loads(codecs.encode(predictions, Shape.LIST, media.JSON)) == expected


@pytest.mark.parametrize("bad", [object(), {1, 2}, 2**70, 1j, "\ud800", Named])
def test_a_prediction_that_json_cannot_hold_is_named_by_its_number(bad):
    with pytest.raises(BadPredictions, match="prediction 1 cannot be written as JSON"):
        codecs.encode([0, bad], Shape.LIST, media.JSON)


@pytest.mark.parametrize("wanted", [media.JSON, media.JSON_LINES, media.CSV, media.NPY])
def test_a_prediction_nested_too_deep_is_a_bad_prediction_or_not_acceptable(wanted):
    deep = []
    for _ in range(1000):
        deep = [deep]
    with pytest.raises((BadPredictions, NotAcceptable)):
        codecs.encode(deep, Shape.LIST, wanted)


def test_texts_of_very_unequal_length_are_refused_as_npy_before_they_make_an_array():
    tracemalloc.start()
    try:
        with pytest.raises(NotAcceptable, match="they hold text"):
            codecs.encode([["a" * 1_000_000], *[["b"]] * 100], Shape.LIST, media.NPY)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_messages_stay_short_and_on_one_line():
    with pytest.raises(BadBody) as caught:
        decoded(b'["' + b"x" * 10_000 + b'\x1b[31m\n"]', media.JSON)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
