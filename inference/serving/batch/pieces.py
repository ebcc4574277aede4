"""Cuts files into pieces of whole records, small enough that a few of them in flight take little memory.

A piece of a plain file is a place in it, which the worker reads by itself; of a gzip or Parquet file it
carries its bytes. All pieces together are the file: nothing is left out, nothing is changed.
"""

from __future__ import annotations

import gzip
import importlib
import io
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from inference.serving.batch.inputs import MAX_RECORD, Input
from inference.serving.codecs.media import PARQUET

# Measured on the flights (208 bytes a row): 128 KB cost a fifth more processor time than 1 MB, for then a
# handler's own cost for each call shows; above 1 MB nothing is saved. A small file is cut finer, so that all
# workers have some of it.
LARGEST_PIECE = 1024 * 1024
SMALLEST_PIECE = 32 * 1024
_PIECES_A_WORKER = 4
_BLOCK = 64 * 1024
_MOST_ROWS = 8192
_TOO_LONG = f"a record of over {MAX_RECORD:,} bytes; expected records that fit into one payload"


# A line or row (from 0, in the piece; None: no one knows) and what is wrong there.
Trouble = tuple[int | None, str]


@dataclass(frozen=True)
class Piece:
    """A run of whole records of the file number `source` of this run.

    `body` is None where it is the `length` bytes at `offset`. `upto` counts the file's bytes (as they lie on
    the disk) that are dealt with after it. `trouble` says why the file cannot be read on from here. `rows` is
    known of Parquet alone.
    """

    source: int
    path: str
    offset: int = 0
    length: int = 0
    body: bytes | None = None
    upto: int = 0
    last: bool = False
    trouble: Trouble | None = None
    rows: int = 0

    @property
    def message(self) -> tuple[str, int, int, bytes | None]:
        """What a worker needs of it, as plain data."""
        return self.path, self.offset, self.length, self.body


class Unreadable(Exception):
    """The file cannot be read on: the reason without its name, and the line where it can be said."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def size_for(source: Input, workers: int) -> int:
    """Of what size to cut a file, in bytes: a small one so that every worker has some of it."""
    return min(max(source.size // (workers * _PIECES_A_WORKER), SMALLEST_PIECE), LARGEST_PIECE)


def cut(number: int, source: Input, size: int) -> Iterator[Piece]:
    """The file's pieces in order, of about `size` bytes; the last one is marked, and where the file cannot be
    read to its end, the last one says why."""
    # Absolute: a handler may change the working directory of the worker that reads it.
    blank = Piece(number, str(source.path.absolute()), upto=source.size)
    kept: Piece | None = None
    try:
        for piece in _pieces(blank, source, size):
            if kept is not None:
                yield kept
            kept = piece
    except (Unreadable, OSError, EOFError, zlib.error) as error:
        if kept is not None:
            yield kept
        kept = replace(blank, trouble=(getattr(error, "line", None), str(error)))
    yield replace(kept or blank, last=True)


def _pieces(blank: Piece, source: Input, size: int) -> Iterator[Piece]:
    if source.content_type == PARQUET:
        yield from _batches(blank, source, size)
    elif source.gzipped:
        yield from _inflated(blank, source, size)
    else:
        yield from _places(blank, source, size)


def _places(blank: Piece, source: Input, size: int) -> Iterator[Piece]:
    start = 0
    with source.path.open("rb", buffering=0) as file:
        while start < source.size:
            end = min(_line_end(file, start, size), source.size)
            yield replace(blank, offset=start, length=end - start, upto=end)
            start = end


def _line_end(file: io.FileIO, start: int, size: int) -> int:
    """Where the line ends that has the byte `size` after `start`; past the file's end where none does."""
    place = start + size - 1
    file.seek(place)
    while place < start + size + MAX_RECORD + _BLOCK:
        block = file.read(_BLOCK)
        end = block.find(b"\n")
        if end >= 0:
            return place + end + 1
        if not block:  # a read may be short, but not empty, before the end
            return sys.maxsize
        place += len(block)
    raise Unreadable(_TOO_LONG, os.pread(file.fileno(), size, start).count(b"\n"))


def _inflated(blank: Piece, source: Input, size: int) -> Iterator[Piece]:
    rest = b""
    with gzip.open(source.path) as file:
        while block := file.read(size):
            rest += block
            end = rest.rfind(b"\n") + 1
            if end:
                yield replace(blank, body=rest[:end], upto=_consumed(file))
                rest = rest[end:]
            if len(rest) > MAX_RECORD + 1:
                raise Unreadable(_TOO_LONG, 0)
    if rest:
        yield replace(blank, body=rest)


def _consumed(file: Any) -> int:
    """How far the compressed file has been read; GzipFile keeps it as `fileobj`."""
    return int(file.fileobj.tell())


def _batches(blank: Piece, source: Input, size: int) -> Iterator[Piece]:
    """Batches of rows, each as a small Parquet file of its own."""
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    try:
        texts = _texts(parquet.read_metadata(source.path))
        # A buffer streams the columns; without one pyarrow reads a row group as a whole.
        with parquet.ParquetFile(
            source.path,
            buffer_size=2**20,
            pre_buffer=False,
            arrow_extensions_enabled=False,
            read_dictionary=texts,
        ) as file:
            total, done = file.metadata.num_rows, 0
            for batch in file.iter_batches(_rows_of(file.metadata, size), use_threads=False):
                for part in _halved(batch, size):
                    done += part.num_rows
                    upto = source.size * done // max(total, 1)
                    yield replace(blank, body=_encoded(part), upto=upto, rows=part.num_rows)
    except (arrow.ArrowException, ValueError) as error:
        raise Unreadable(f"it is damaged, or no Parquet file ({error})") from None
    if done != total:
        raise Unreadable(f"it is damaged: it holds {done:,} rows, and its footer says {total:,}")


def _texts(metadata: Any) -> list[str]:
    """The columns, not those inside others, in which a few bytes may stand for any number of long texts."""
    schema = metadata.schema
    columns = [schema.column(place) for place in range(len(schema.names))]
    return [one.path for one in columns if one.physical_type == "BYTE_ARRAY" and one.path == one.name]


def _halved(batch: Any, size: int) -> Iterator[Any]:
    """A batch, or its halves, and so on, until each takes about `size` bytes or is a single row."""
    if batch.num_rows <= 1 or _unfolded(batch) <= 2 * size:
        yield batch
        return
    middle = batch.num_rows // 2
    yield from _halved(batch.slice(0, middle), size)
    yield from _halved(batch.slice(middle), size)


def _unfolded(batch: Any) -> int:
    """How many bytes its shared texts take when each has its own."""
    compute: Any = importlib.import_module("pyarrow.compute")
    shared = [column for column in batch.columns if hasattr(column, "dictionary")]
    lengths = (compute.take(compute.binary_length(one.dictionary), one.indices) for one in shared)
    return sum(compute.sum(one).as_py() or 0 for one in lengths)


def _rows_of(metadata: Any, size: int) -> int:
    """How many rows take about `size` bytes in memory."""
    groups = range(metadata.num_row_groups)
    total = sum(metadata.row_group(number).total_byte_size for number in groups)
    return int(min(max(size * metadata.num_rows // max(total, 1), 1), _MOST_ROWS))


def _encoded(batch: Any) -> bytes:
    """A batch as a Parquet file of its own, with every text in its place."""
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    columns = [one.dictionary_decode() if hasattr(one, "dictionary") else one for one in batch.columns]
    table = arrow.Table.from_arrays(columns, names=batch.schema.names)
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


def read(message: tuple[str, int, int, bytes | None]) -> bytes:
    """A piece's bytes, of its message. Unreadable where the file has become shorter."""
    path, offset, length, body = message
    if body is not None:
        return body
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path as text is all that a message holds
        body = os.pread(file.fileno(), length, offset)
        while len(body) < length and (
            more := os.pread(file.fileno(), length - len(body), offset + len(body))
        ):
            body += more
    if len(body) < length:
        raise Unreadable("the file became shorter while it was read; start again when nobody writes to it")
    return body


def lines_in(piece: Piece) -> int:
    """How many lines, or rows, the piece has; 0 where it cannot be read any more."""
    if piece.rows:
        return piece.rows
    try:
        body = read(piece.message)
    except (Unreadable, OSError):
        return 0
    return body.count(b"\n") + (not body.endswith(b"\n"))
