"""The records of a batch's body: which lines count, what each of them holds, where a header stood. Pure.

A record is a line that is not blank, or whatever an instance is in a body that has no lines. A batch is cut
into bodies by lines, so a quoted CSV field with a line end in it is no record here.
Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from inference.serving import codecs
from inference.serving.codecs import Shape, outputs, parquet, tables
from inference.serving.codecs.inputs import Instances
from inference.serving.codecs.media import CSV, JSON_LINES, PARQUET, ContentType
from inference.serving.errors import BadBody, shown

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Records:
    """A body's records in its order: an instance each, or the BadBody that says why there is none.

    `headers` are the places, among the records, before which the header's line stood.
    """

    rows: Instances
    shape: Shape = Shape.LIST
    headers: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Table:
    """The lines of a CSV body that are rows, its columns' names, and where its header stood."""

    lines: list[bytes]
    names: list[str] | None
    headers: tuple[int, ...]


def decode(body: bytes | bytearray, content_type: ContentType, header: str = "") -> Records:
    """The records of a body, each of them an instance. BadBody names the line of the first that is none.

    With `header`, the CSV lines that equal it are no records, and it names the columns of the others.
    """
    try:
        return _together(body, content_type, header)
    except BadBody:
        if content_type.format not in (JSON_LINES, CSV):
            raise
    found = _one_by_one(body, content_type, header, _first)
    for place, row in enumerate(found.rows):
        if isinstance(row, BadBody):
            line = _line_number(body, found.headers, place)
            raise BadBody(f"{content_type.format}: line {line}: {row}")
    return found


def decode_each(body: bytes | bytearray, content_type: ContentType, header: str = "") -> Records:
    """As decode, but a record that cannot be read has its BadBody in its place, which names no line.

    A body without lines that cannot be read is refused as a whole: nobody can say how many records it has.
    """
    if content_type.format == PARQUET:
        return Records(parquet.decode_each(body))
    try:
        return _together(body, content_type, header)
    except BadBody:
        if content_type.format not in (JSON_LINES, CSV):
            raise
    return _one_by_one(body, content_type, header, _most_common)


def unread(body: bytes | bytearray, content_type: ContentType, header: str = "") -> Records:
    """The lines of a body that are records, or of Parquet the numbers of its rows, as they are: whoever gets
    them says what is wrong with them. BadBody where it is no Parquet."""
    if content_type.format == PARQUET:
        return Records(list(range(parquet.count(body))))
    if content_type.format == CSV:
        table = _table(body, content_type, header)
        return Records(table.lines, headers=table.headers)
    return Records(_lines(body))


def as_json(body: bytes | bytearray, content_type: ContentType, found: Records) -> Records:
    """The records that decode or decode_each found in the body, each as JSON: as it is written, if it is."""
    own = _lines(body) if content_type.format == JSON_LINES else []
    texts = [
        row if isinstance(row, BadBody) else own[place].strip() if own else _json(row)
        for place, row in enumerate(found.rows)
    ]
    return replace(found, rows=texts)


def places(body: bytes, content_type: ContentType, header: str, *, headers: bool) -> list[int]:
    """The numbers, from 0, of the lines that hold the records that decode finds; with `headers` of those that
    are the header, too."""
    lines = body.split(b"\n")
    wanted = b""  # no line with something in it equals that
    if content_type.format == CSV:
        lines[0] = lines[0].removeprefix(_MARK)
        wanted = header.encode()
    return [
        number
        for number, line in enumerate(lines)
        if line.strip() and (headers or not _is_header(line, wanted))
    ]


def _json(row: Any) -> bytes:
    return orjson.dumps(row, outputs.plain, orjson.OPT_SERIALIZE_NUMPY)


def _together(body: bytes | bytearray, content_type: ContentType, header: str) -> Records:
    """Every record at once, which is fast and says little about what is wrong where."""
    if content_type.format == JSON_LINES:
        return Records(_json_lines(_lines(body)))
    if content_type.format == CSV:
        table = _table(body, content_type, header)
        return Records(tables.decode_lines(_texts(table.lines), table.names), headers=table.headers)
    decoded = codecs.decode(body, content_type)
    return Records(decoded.instances, decoded.shape)


def _one_by_one(
    body: bytes | bytearray, content_type: ContentType, header: str, usual: Callable[[list[int]], int]
) -> Records:
    if content_type.format == JSON_LINES:
        return Records([_tried(codecs.json_line, line) for line in _lines(body)])
    table = _table(body, content_type, header)
    rows = [_tried(cells, line) for line in table.lines]
    widths = [len(row) for row in rows if isinstance(row, list)]
    width = len(table.names) if table.names else usual(widths) if widths else 0
    instance = partial(tables.instance, names=table.names, width=width)
    return Records([_tried(instance, row) for row in rows], headers=table.headers)


def _tried(read: Callable[[Any], Any], raw: Any) -> Any:
    """What is read from it, or the BadBody; one that is there already stays."""
    if isinstance(raw, BadBody):
        return raw
    try:
        return read(raw)
    except BadBody as error:
        return error


def _first(widths: list[int]) -> int:
    return widths[0]


def _most_common(widths: list[int]) -> int:
    # Were it the first row's, then a first row that is wrong would cost all others of its body.
    return Counter(widths).most_common(1)[0][0]


def _lines(body: bytes | bytearray) -> list[bytes]:
    return [line for line in bytes(body).split(b"\n") if line.strip()]


def _line_number(body: bytes | bytearray, headers: tuple[int, ...], place: int) -> int:
    """From 1, the line on which the record of that place stands."""
    numbers = [number for number, line in enumerate(bytes(body).split(b"\n"), 1) if line.strip()]
    return numbers[place + sum(header <= place for header in headers)]


def _json_lines(lines: list[bytes]) -> list[Any]:
    try:
        return [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError as error:
        raise BadBody(str(error)) from None


def _table(body: bytes | bytearray, content_type: ContentType, header: str) -> _Table:
    lines = _lines(bytes(body).removeprefix(_MARK))
    if not header:
        return _own_table(lines, content_type)
    wanted = header.encode()
    # The header may be answered in its place, so the place is kept: among the records, not the lines.
    found = [place for place, line in enumerate(lines) if _is_header(line, wanted)]
    rows = [line for line in lines if not _is_header(line, wanted)] if found else lines
    before = tuple(place - earlier for earlier, place in enumerate(found))
    return _Table(rows, tables.names(header), before)


def _is_header(line: bytes, header: bytes) -> bool:
    return line.rstrip(b"\r") == header


def _own_table(lines: list[bytes], content_type: ContentType) -> _Table:
    """A body's table where nothing was said of a header but by the content type, as at an endpoint."""
    if not content_type.header:
        return _Table(lines, None, ())
    first = _text(lines[0]) if lines else ""
    return _Table(lines[1:], tables.names(first), (0,))


def _texts(lines: list[bytes]) -> list[str]:
    return _text(b"\n".join(lines)).split("\n") if lines else []


def cells(line: bytes) -> list[str]:
    """The cells of a line of CSV. BadBody where it is none."""
    return tables.cells(_text(line))


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = shown(line[error.start : error.start + 4])
        raise BadBody(f"byte {error.start}: {byte} is not UTF-8") from None
