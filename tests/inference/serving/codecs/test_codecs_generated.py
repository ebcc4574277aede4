"""Every form, read and written, under bodies that hypothesis makes: what is sound comes back, and the rest is
refused with 4xx, in memory that is in proportion to the body.

Row 16 of the faults: malformed JSON, CSV, npy, Parquet, Unicode, NaN are 4xx and never 5xx.
"""

from __future__ import annotations

import csv
import io
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from inference.serving import codecs
from inference.serving.codecs import Shape, media
from inference.serving.errors import BadPredictions, NotAcceptable, Refusal

TYPES = [*media.READ, "text/csv; header=present", "application/json; charset=utf-8"]
# What a decoded body may take, beside what any of them takes: a value of one byte becomes an object.
PER_BYTE, ANYWAY = 120, 2_000_000

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
# What a handler may return and no form can hold is in here too.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=4)
    | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
DTYPES = st.sampled_from(
    [f"{order}{kind}" for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8")]
    + ["|b1", "|i1", "|u1", "<U3", ">U3"]
)


def decoded(body: bytes, content_type: str) -> codecs.Decoded:
    return codecs.decode(body, media.content_type(content_type))


def sound() -> dict[str, list[bytes]]:
    """Bodies that are read, for each content type; damage begins from them."""
    rows = [[1, 2.5], [-3, 4e9]]
    table = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "s": ["x", None], "l": [[1.0], []]}), table, compression="zstd")
    arrays = []
    for array in (np.array(rows), np.arange(6, dtype=">i2").reshape(3, 2).T, np.array(["a", "äöü"])):
        np.save(file := io.BytesIO(), array)
        arrays.append(file.getvalue())
    json = [b'[{"a": [1, -2.5e3, null, "\\u00e9\\n"]}, true]', b'{"instances": [[1], "x"], "parameters": {}}']
    bodies = {
        media.JSON: json,
        media.JSON_LINES: [b'{"a": 1}\n[2, "x"]\n\n', b"1\r\n2\n"],
        media.CSV: [b'1,2.5,"a ""b"""\n-3,,x\n', b'\xef\xbb\xbfa,b\r\n"1\n",2\r\n'],
        media.NPY: arrays,
        media.PARQUET: [table.getvalue()],
    }
    return {kind: bodies[media.content_type(kind).format] for kind in TYPES}


SOUND = sound()


@st.composite
def damaged(draw: st.DrawFn, content_type: str) -> bytes:
    """A sound body, with a few bytes of it changed, taken out, put in, repeated or cut off."""
    body = bytearray(draw(st.sampled_from(SOUND[content_type])))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(body)))
        piece = draw(
            st.binary(max_size=3) | st.sampled_from([b"\0", b"\xff", b'"', b"[", b"\n", b"9" * 30, b"NaN"])
        )
        length = draw(st.integers(0, 3))
        body[at : at + length] = piece if draw(st.booleans()) else piece * 50
    return bytes(body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body)


def taken(body: bytes, content_type: str) -> int:
    """The most memory that decoding took; a Refusal is fine, anything else is not."""
    tracemalloc.start()
    try:
        decoded(body, content_type)
    except Refusal as refusal:
        assert 400 <= refusal.status < 500
        assert str(refusal)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


@pytest.mark.parametrize("content_type", TYPES)
def test_the_sound_bodies_are_read(content_type):
    for body in SOUND[content_type]:
        assert len(decoded(body, content_type).instances)


@pytest.mark.parametrize("content_type", TYPES)
@some
@given(data=st.data())
def test_a_damaged_body_is_read_or_refused_in_proportion_to_its_length(content_type, data):
    body = data.draw(damaged(content_type))
    assert taken(body, content_type) < ANYWAY + PER_BYTE * len(body)


@pytest.mark.parametrize("content_type", TYPES)
@some
@given(body=st.binary(max_size=400))
def test_random_bytes_are_read_or_refused_in_proportion_to_their_length(content_type, body):
    assert taken(body, content_type) < ANYWAY + PER_BYTE * len(body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (media.JSON, b"[" + b"[]," * 60_000 + b"[]]"),
        (media.JSON, b'{"a":' * 1000),
        (media.JSON_LINES, b"{}\n" * 60_000),
        (media.JSON_LINES, b"\n" * 60_000),
        (media.CSV, b"1\n" * 60_000),
        (media.CSV, b"," * 60_000),
        (media.CSV, b'"' * 60_000),
        ("text/csv; header=present", b"a\n" + b"x\n" * 60_000),
        (media.NPY, SOUND[media.NPY][0] * 1000),
    ],
)
def test_the_bodies_that_take_most_stay_in_proportion(content_type, body):
    assert taken(body, content_type) < ANYWAY + PER_BYTE * len(body)


def test_what_is_out_of_proportion_is_told():
    """The measure above can fail."""
    assert tracemalloc.is_tracing() is False
    body = b"[" + b"{}," * 100_000 + b"{}]"
    assert taken(body, media.JSON) > len(body) * 10


@some
@given(DTYPES.flatmap(lambda dtype: of_numpy.arrays(dtype, of_numpy.array_shapes(max_dims=4, max_side=4))))
def test_npy_of_every_type_and_shape_comes_back(array):
    assume(array.dtype.kind != "f" or np.isfinite(array).all())
    np.save(file := io.BytesIO(), array)
    assume(array.dtype.kind != "U" or all(text.isprintable() for text in array.flat))
    found = decoded(file.getvalue(), media.NPY).instances
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()
    assert found.dtype == array.dtype.newbyteorder("=")
    if array.dtype.kind != "U":
        again = decoded(codecs.encode(found, Shape.LIST, media.NPY), media.NPY).instances
        assert (again.dtype, again.tolist()) == (found.dtype, found.tolist())


@some
@given(st.lists(value, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_json_lines_of_either_line_end_come_back(instances, end):
    body = codecs.encode(instances, Shape.LIST, media.JSON_LINES).decode().replace("\n", end)
    assert decoded(body.encode(), media.JSON_LINES).instances == instances


@some
@given(
    st.lists(words.filter(bool), min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.lists(
            st.fixed_dictionaries({name: st.integers(-99, 99) for name in names}), max_size=4
        ).map(lambda rows: (names, rows))
    )
)
def test_csv_with_a_header_comes_back_as_objects(table):
    names, rows = table
    assume(not any(set("\r\n\ufeff") & set(name) for name in names))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    assert decoded(text.getvalue().encode(), "text/csv; header=present").instances == rows


@some
@given(
    st.lists(
        st.fixed_dictionaries(
            {"n": st.none() | finite, "s": st.none() | words, "l": st.lists(finite, max_size=3)}
        ),
        max_size=6,
    ),
    st.sampled_from(["none", "snappy", "zstd", "gzip"]),
    st.sampled_from(["1.0", "2.0"]),
)
def test_parquet_of_every_compression_comes_back(rows, compression, version):
    schema = pa.schema({"n": pa.float64(), "s": pa.string(), "l": pa.list_(pa.float64())})
    file = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, file, compression=compression, data_page_version=version)
    assert decoded(file.getvalue(), media.PARQUET).instances == rows


@some
@given(st.lists(anything, min_size=1, max_size=4), st.sampled_from(Shape), st.sampled_from(media.FORMATS))
def test_whatever_a_handler_returns_is_written_or_refused(predictions, shape, wanted):
    given = predictions[:1] if shape is Shape.ONE else predictions
    try:
        body = codecs.encode(given, shape, wanted)
    except (BadPredictions, NotAcceptable) as refusal:
        assert str(refusal)
    else:
        assert isinstance(body, bytes)
