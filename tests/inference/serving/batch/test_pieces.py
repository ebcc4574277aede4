"""Pieces are the file, whatever is in it, and memory does not grow with it."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving.batch import inputs
from inference.serving.batch.pieces import Piece, Unreadable, cut, lines_in, read, size_for

# By name, so that a failure prints short; the long one is longer than what is read at a time.
FRAGMENTS = {
    "end": b"\n",
    "windows end": b"\r\n",
    "return": b"\r",
    "letter": b"a",
    "object": b'{"x": 1}\n',
    "text": b"x" * 100,
    "long": b"y" * 70_000,
    "mark": b"\xef\xbb\xbf",
    "blank": b" ",
}


def cut_up(path: Path, size: int) -> list[Piece]:
    (source,) = inputs.find(path)
    return list(cut(3, source, size))


def content(pieces: list[Piece]) -> bytes:
    return b"".join(read(piece.message) for piece in pieces)


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.sampled_from(list(FRAGMENTS)), min_size=1, max_size=30),
    size=st.integers(1, 200),
    packed=st.booleans(),
)
def test_the_pieces_together_are_the_file_and_each_is_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], size: int, packed: bool
) -> None:
    body = b"".join(FRAGMENTS[part] for part in parts)
    path = tmp_path_factory.getbasetemp() / ("cut.jsonl.gz" if packed else "cut.jsonl")
    path.write_bytes(gzip.compress(body, 1) if packed else body)
    pieces = cut_up(path, size)
    assert content(pieces) == body
    assert all(read(piece.message).endswith(b"\n") for piece in pieces[:-1])
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].upto == path.stat().st_size
    assert [piece.upto for piece in pieces] == sorted(piece.upto for piece in pieces)
    assert not any(piece.trouble for piece in pieces)
    assert sum(map(lines_in, pieces)) == body.count(b"\n") + (not body.endswith(b"\n"))


def test_a_piece_is_no_larger_than_asked_for_and_the_rest_of_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"123456789\n" * 1000)
    assert {piece.length for piece in cut_up(path, 95)} == {100}


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_over_the_payload_limit_is_named_by_its_line(tmp_path: Path, packed: bool) -> None:
    body = b"1\n2\n" + b"3" * (inputs.MAX_RECORD + 200_000) + b"\n4\n"
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(body) if packed else body)
    pieces = cut_up(path, 50_000)
    before = sum(map(lines_in, pieces[:-1]))
    assert pieces[-1].trouble is not None
    line, reason = pieces[-1].trouble
    assert "6,291,456 bytes" in reason
    assert line is not None
    assert before + line + 1 == 3


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: packed[:40] + b"!!!!" + packed[44:]]
)
def test_a_damaged_gzip_file_ends_in_trouble_after_what_could_be_read(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b"".join(b'{"x": %d}\n' % n for n in range(1000)))))
    pieces = cut_up(path, 1000)
    assert pieces[-1].trouble
    assert pieces[-1].last


def test_parquet_comes_in_batches_of_rows_that_are_files_themselves(tmp_path: Path) -> None:
    table = pyarrow.table({"x": list(range(5000)), "name": [f"row {n}" for n in range(5000)]})
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=700, compression="zstd")
    pieces = cut_up(path, 10_000)
    tables = [pyarrow.parquet.read_table(io.BytesIO(read(piece.message))) for piece in pieces]
    assert len(pieces) > 5
    assert pyarrow.concat_tables(tables).equals(table)
    assert [piece.rows for piece in pieces] == [one.num_rows for one in tables]


def test_texts_that_parquet_stores_once_do_not_make_large_pieces(tmp_path: Path) -> None:
    table = pyarrow.table({"x": list(range(3000)), "text": ["t" * 20_000, "u", None] * 1000})
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path)
    assert path.stat().st_size < 100_000
    bodies = [read(piece.message) for piece in cut_up(path, 100_000)]
    assert max(map(len, bodies)) < 250_000
    assert pyarrow.concat_tables(pyarrow.parquet.read_table(io.BytesIO(body)) for body in bodies).equals(
        table
    )


@pytest.mark.parametrize(
    ("there", "instead", "reason"),
    [
        # A compact Thrift i64 in the field after the schema: 2,000 rows, and 2,001.
        (b"\x16\xa0\x1f", b"\x16\xa2\x1f", "it holds 2,000 rows, and its footer says 2,001"),
        (b"name", b"n\xffme", "it is damaged, or no Parquet file"),
    ],
)
def test_a_parquet_file_whose_footer_is_wrong_is_damaged(
    tmp_path: Path, there: bytes, instead: bytes, reason: str
) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"name": list(range(2000))})
    pyarrow.parquet.write_table(table, path, row_group_size=1000, store_schema=False)
    content = path.read_bytes()
    assert there in content
    path.write_bytes(content.replace(there, instead))
    assert reason in str(cut_up(path, 10_000)[-1].trouble)


def test_a_file_that_became_shorter_is_not_read_as_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    (piece,) = cut_up(path, 100)
    path.write_bytes(b"1\n")
    with pytest.raises(Unreadable, match="shorter"):
        read(piece.message)


@pytest.mark.parametrize(("size", "expected"), [(10, 32 * 1024), (800_000, 100_000), (10**9, 2**20)])
def test_a_small_file_is_cut_so_that_all_workers_have_some_of_it(
    tmp_path: Path, size: int, expected: int
) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.truncate(size)
    (source,) = inputs.find(path)
    assert size_for(source, 2) == expected
