"""What a Parquet file takes is found in its pages, whatever its footer says, before anything is unpacked."""

from __future__ import annotations

import io
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving.codecs import parquet, parquet_pages, thrift
from inference.serving.errors import BadBody

LONG = 14_000_000


def written(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def varint(number: int, width: int = 1) -> bytes:
    """As thrift writes it, in so many bytes at least."""
    out = bytearray()
    while number or len(out) < width:
        out.append(number & 127 | 128)
        number >>= 7
    out[-1] &= 127
    return bytes(out)


def footer_says(body: bytes, found: int, said: int) -> bytes:
    """The file with another number in its footer, in as many bytes."""
    start = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    there = varint(found * 2)
    assert there in body[start:]
    return body[:start] + body[start:].replace(there, varint(said * 2, len(there)))


TABLE = pa.table({"s": [f"x{n % 50}" for n in range(3000)], "l": [[1.0, None]] * 3000})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data_page_version": "2.0"},
        {"compression": "gzip"},
        {"use_dictionary": False, "column_encoding": {"s": "DELTA_LENGTH_BYTE_ARRAY"}},
        {"row_group_size": 100, "write_page_index": True, "write_page_checksum": True},
        {"data_page_size": 100},
    ],
)
def test_the_pages_of_what_pyarrow_writes_are_counted(options):
    body = written(TABLE, **options)
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    told = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    size, values, rows = parquet_pages.taken(body)
    assert rows == 3000
    assert 0.5 * told < size <= told, "the footer counts the pages' headers too"
    assert 9000 <= values < 9000 * 1.5, "of dictionaries also the values"


def test_a_file_without_rows_has_no_pages():
    body = written(pa.table({"x": pa.array([], pa.int64())}))
    assert parquet_pages.taken(body) == (0, 0, 0)
    assert parquet.decode(body) == []


@pytest.fixture(scope="module")
def bomb() -> bytes:
    table = pa.table({"x": ["a" * LONG]})
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    return written(table, store_schema=False, **options)


@pytest.mark.parametrize("lies", [False, True])
def test_a_parquet_bomb_is_refused_though_its_footer_says_that_it_is_small(bomb, lies, monkeypatch):
    monkeypatch.setattr(parquet, "_FREE_BYTES", 2**20)
    assert len(bomb) * 32 < 2**20
    size = pq.ParquetFile(io.BytesIO(bomb)).metadata.row_group(0).total_byte_size
    body = footer_says(bomb, size, 1000) if lies else bomb
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    try:
        with pytest.raises(BadBody, match="would take 1400.* bytes of memory; expected up to 1048576 for"):
            parquet.decode(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        assert pa.total_allocated_bytes() == before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (pa.table({"x": pa.array([[1] * 11_000_000], pa.list_(pa.int8()))}), {}, "110000.. values"),
        (pa.table({"x": pa.nulls(3_000_000, pa.int8())}), {}, "3000000 rows of 3000000 values would take"),
        (
            pa.table({"x": ["a" * 10_000] * 3000}),
            {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}},
            "DELTA_BYTE_ARRAY, which is not read here",
        ),
    ],
)
def test_few_bytes_that_stand_for_much_are_refused(table, options, words):
    with pytest.raises(BadBody, match=words):
        parquet.decode(written(table, **options))


@pytest.mark.parametrize(
    ("limit", "words"), [("_MOST_PAGES", "more than 10 pages"), ("_LONGEST_FOOTER", "footer of [0-9]+ bytes")]
)
def test_more_than_can_be_looked_at_in_time_is_refused(monkeypatch, limit, words):
    monkeypatch.setattr(parquet_pages, limit, 10)
    with pytest.raises(BadBody, match=words):
        parquet.decode(written(pa.table({"x": list(range(300))}), row_group_size=10))


WANTED = {1: thrift.I32, 2: {1: thrift.I64}, 3: [{1: thrift.I32}]}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (b"\x15\x02\x00", {1: 1}),
        (b"\x05\x02\x03\x00", {1: -2}),  # the field's number written out
        (b"\x2c\x16\x08\x00\x00", {2: {1: 4}}),
        (b"\x39\x2c\x15\x02\x00\x15\x04\x00\x00", {3: [{1: 1}, {1: 2}]}),
        (b"\x11\x12\x13\x07\x14\x02\x27\x01\x02\x03\x04\x05\x06\x07\x08\x00", "twice"),
        (b"\xf1\xf2\xf3\x07\xf8\x03abc\xfb\x01\x15\x02\x02\x00", {}),
        (b"\xf9\x23\x01\x02\xfa\x12\x01\xfc\x1c\x15\x02\x00\x00\x00", {}),
    ],
)
def test_a_struct_is_read_past_what_is_not_wanted(source, found):
    if found == "twice":
        with pytest.raises(thrift.Faulty):
            thrift.read(source, 0, WANTED)
    else:
        assert thrift.read(source, 0, WANTED) == (found, len(source))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"\x15\x02\x05\x02\x02\x00", "field 1 is there twice"),
        (b"\x16\x02\x00", "the type 6, expected 5"),
        (b"\x25\x02\x00", "the type 5, expected 12"),
        (b"\x39\x15\x02\x00", "a list holds the type 5"),
        (b"\x15", "cut off"),
        (b"\x48\x7f", "cut off"),
        (b"\x15" + b"\xff" * 11, "too long"),
        (b"\x4d\x00", "unknown type 13"),
        (b"\x4c\x1c" + b"\x1c" * 20, "nested too deep"),
        (b"\x49" + b"\x19" * 20, "nested too deep"),
        (b"\x49\xfc\xff\xff\xff\x7f", "cut off"),
    ],
)
def test_what_another_reader_might_read_otherwise_is_refused(source, words):
    with pytest.raises(thrift.Faulty, match=words):
        thrift.read(source, 0, WANTED)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_struct_or_faulty(source):
    try:
        assert thrift.read(source, 0, WANTED)[1] <= len(source)
    except thrift.Faulty as error:
        assert str(error)
