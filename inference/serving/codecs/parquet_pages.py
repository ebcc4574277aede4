"""What a Parquet file takes once it is read, by the headers of its pages and before one is unpacked. Pure.

Its footer says so too, as whoever sends the file writes it; pyarrow allocates what a page's own header says.
A few bytes of a page may stand for any number of values, and a few kilobytes for gigabytes of text. Where the
pages begin is read here as well: pyarrow ends the process when it is asked for a column that makes no sense.
Source: github.com/apache/parquet-format (parquet.thrift, Encodings.md)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from inference.serving.codecs import thrift
from inference.serving.codecs.thrift import I32, I64, Faulty

_LONGEST_FOOTER = 2 * 2**20
_MOST_PAGES = 100_000
# Of a column in the footer.
_COUNT, _LENGTH, _FIRST, _DICTIONARY = 5, 7, 9, 11
_COLUMN = {_COUNT: I64, _LENGTH: I64, _FIRST: I64, _DICTIONARY: I64}
# Of a row group, and of the footer: the rows, and the parts.
_ROWS, _COLUMNS, _META, _GROUPS = 3, 1, 3, 4
_FOOTER = {_ROWS: I64, _GROUPS: [{_ROWS: I64, _COLUMNS: [{_META: _COLUMN}]}]}
# Of a page's header: its sizes, and its parts that tell of values, one for each kind of page.
_UNPACKED, _PACKED, _VALUES = 2, 3, 1
_ENCODINGS = {5: 2, 7: 2, 8: 4}
_PAGE = {_UNPACKED: I32, _PACKED: I32} | {
    kind: {_VALUES: I32, encoding: I32} for kind, encoding in _ENCODINGS.items()
}
# Each text repeats bytes of the one before: a page of such may stand for more than any memory.
_BY_PREFIX = 7


class Taken(NamedTuple):
    """What all pages together take: the bytes of the unpacked pages, the values and the rows in them."""

    size: int
    values: int
    rows: int


def taken(source: bytes) -> Taken:
    """What reading the whole file takes. Raises Faulty, with why it cannot be read."""
    footer = _footer(source)
    groups = footer.get(_GROUPS, [])
    size = values = 0
    for number, page in enumerate(_pages(source, groups)):
        if number >= _MOST_PAGES:
            raise Faulty(f"more than {_MOST_PAGES} pages; expected larger ones")
        size += _positive(page.get(_UNPACKED))
        for kind, encoding in _ENCODINGS.items():
            if kind in page:
                if page[kind].get(encoding) == _BY_PREFIX:
                    raise Faulty("a page is encoded as DELTA_BYTE_ARRAY, which is not read here")
                values += _positive(page[kind].get(_VALUES))
    rows = sum(_positive(group.get(_ROWS)) for group in groups)
    return Taken(size, values, max(rows, _positive(footer.get(_ROWS))))


def _footer(source: bytes) -> dict[int, Any]:
    length = int.from_bytes(source[-8:-4], "little")
    if length > min(_LONGEST_FOOTER, len(source) - 12):
        raise Faulty(
            f"a footer of {length} bytes; expected it to be here, and up to {_LONGEST_FOOTER}: "
            "write fewer row groups"
        )
    return thrift.read(source[:-8], len(source) - 8 - length, _FOOTER)[0]


def _pages(source: bytes, groups: list[Any]) -> Iterator[dict[int, Any]]:
    """The headers of the pages, in the order and at the places where pyarrow reads them."""
    for chunk in (chunk for group in groups for chunk in group.get(_COLUMNS, [])):
        column = chunk.get(_META, {})
        at, first = _positive(column.get(_FIRST)), _positive(column.get(_DICTIONARY, 0))
        at = first if 0 < first < at else at
        end = at + _positive(column.get(_LENGTH))
        while _positive(column.get(_COUNT)) and at < end:
            page, at = thrift.read(source, at, _PAGE)
            yield page
            at += _positive(page.get(_PACKED))


def _positive(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise Faulty(f"{number} where a size or a count belongs")
    return number
