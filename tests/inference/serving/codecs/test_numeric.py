"""Bodies of numbers as arrays: what their lists would have made. All else is left to the exact readers."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving import codecs
from inference.serving.codecs import inputs, media, numeric
from inference.serving.errors import BadBody

JSON, CSV = media.ContentType(media.JSON), media.ContentType(media.CSV)
often = settings(max_examples=120, deadline=None)
whole = st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)
number = whole | st.floats(allow_nan=False, allow_infinity=False)
numbers = st.sampled_from([whole, number]).flatmap(
    lambda kind: st.integers(1, 4).flatmap(
        lambda width: (
            st.lists(kind, min_size=1, max_size=5)
            | st.lists(st.lists(kind, min_size=width, max_size=width), min_size=1, max_size=5)
            | st.lists(
                st.lists(st.lists(kind, min_size=2, max_size=2), min_size=width, max_size=width),
                min_size=1,
                max_size=3,
            )
        )
    )
)
# What numbers are written with, and what stands between and beside them; and what only looks like it.
scraps = st.sampled_from(
    [*'0123456789-+.eE[]{},: \t\r\n"', "[1,2]", "[[", "]]", "],[", "1.5", "-0", "1e400", "1e-400", "-0.0"]
    + ["9223372036854775808", "18446744073709551616", "NaN", "null", "true", '"instances"', "\ufeff", "\0"]
)
like_numbers = st.lists(scraps, max_size=12).map("".join)


def by_list(body, kind):
    """What is read without this module: an array, or what was refused and how."""
    try:
        return inputs.to_array(codecs.decode(body, kind).instances), codecs.decode(body, kind).shape
    except BadBody as error:
        return str(error)


def at_once(body, kind):
    try:
        found = codecs.decode(body, kind, np.float64)
        return inputs.to_array(found.instances), found.shape
    except BadBody as error:
        return str(error)


def assert_same(body, kind):
    expected, found = by_list(body, kind), at_once(body, kind)
    if isinstance(expected, str):
        assert found == expected
        return
    assert (found[1], found[0].shape, found[0].dtype) == (expected[1], expected[0].shape, expected[0].dtype)
    assert found[0].tobytes() == expected[0].tobytes()


@often
@given(numbers, st.booleans(), st.sampled_from([None, 1]))
def test_numbers_in_json_are_the_array_that_their_list_makes(instances, enveloped, indent):
    body = json.dumps({"instances": instances} if enveloped else instances, indent=indent).encode()
    assert_same(body, JSON)


@often
@given(like_numbers, st.booleans())
def test_what_looks_like_numbers_in_json_is_read_or_refused_as_ever(text, enveloped):
    assert_same((f'{{"instances":[{text}]}}' if enveloped else f"[{text}]").encode(), JSON)
    assert_same(text.encode(), JSON)


@often
@given(
    st.integers(1, 4).flatmap(lambda w: st.lists(st.lists(number, min_size=w, max_size=w), min_size=1)),
    st.sampled_from(["\n", "\r\n"]),
)
def test_numbers_in_csv_are_the_array_that_their_list_makes(rows, end):
    assert_same(end.join(",".join(map(repr, row)) for row in rows).encode(), CSV)


@often
@given(like_numbers)
def test_what_looks_like_numbers_in_csv_is_read_or_refused_as_ever(text):
    assert_same(text.encode(), CSV)
    assert_same(f"1,2\n{text}".encode(), CSV)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[[1,[2]],[3,4]]", JSON),
        (b"[[1,2],[3],[4,5,6]]", JSON),
        (b'{"instances":[1],"instances":[2]}', JSON),
        (b'{"instances":[1],"parameters":{}}', JSON),
        (b"1],[2\n3", CSV),
        (b"1\r2", CSV),
        (b"1,\r2", CSV),
        (b"1, 2", CSV),
        (b"+1\n.5", CSV),
        (b"007", CSV),
        (b"\xef\xbb\xbf1,2", CSV),
        (b"\xef\xbb\xbf[1]", JSON),
        (b"[1,2]\xff", JSON),
        (b"[" * 2000 + b"1" + b"]" * 2000, JSON),
        (b"[" * 70 + b"1" + b"]" * 70, JSON),
    ],
)
def test_what_only_resembles_a_table_of_numbers_is_left_to_the_exact_readers(body, kind):
    read = numeric.from_json if kind is JSON else numeric.from_csv
    assert read(body, np.float64) is None
    assert_same(body, kind)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (numeric.from_json, b"[[1,2],[3,4.5]]"),
        (numeric.from_json, b'{"instances": [[1,2],[3,4.5]]}'),
        (numeric.from_csv, b"1,2\n3,4.5\n"),
    ],
)
def test_plain_numbers_are_read_without_a_list(read, body):
    """Else all of the above would hold for a module that never reads anything."""
    found = read(body, np.float32)
    array = found[0] if isinstance(found, tuple) else found
    assert (array.tolist(), array.dtype) == ([[1, 2], [3, 4.5]], np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", ["[1e30, 1.5]", "[1, 2]"])
def test_the_array_may_be_changed_in_place(dtype, text):
    array, _ = numeric.from_json(text.encode(), dtype)
    array += 1


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_number_too_large_for_the_type_is_infinite_as_it_is_in_a_tensor_made_of_the_list():
    body = b"[[1e300, -1e300, 1.5, 0.1]]"
    tensor: torch.Tensor = inputs.to_tensor(codecs.decode(body, JSON).instances)
    assert numeric.from_json(body, np.float32)[0].tobytes() == tensor.numpy().tobytes()


def test_a_hundred_thousand_numbers_take_no_objects_between():
    body = json.dumps([[0.5] * 100] * 1000).encode()
    codecs.decode(body, JSON, np.float64)
    tracemalloc.start()
    try:
        found = codecs.decode(body, JSON, np.float64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.instances.shape == (1000, 100)
    assert peak < 1e6  # a list of them holds a pointer each, and its floats
