"""application/vnd.apache.parquet. A row is an instance: an object by its columns' names. Pure.

What JSON has stays as it is. A date, time or timestamp becomes ISO 8601 text (with "+00:00" where it is an
instant, and without digits below the microsecond), a decimal the nearest number, a duration the whole number
that the file holds. Bytes, maps and what else JSON has no form for are refused, and so are NaN and infinity.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any

from inference.serving.codecs import parquet_pages, thrift
from inference.serving.codecs.media import PARQUET
from inference.serving.errors import BadBody, UnsupportedMediaType, shown

_MAGIC = b"PAR1"
# Parquet packs a thousand equal rows into a few bytes: what they unpack to is bounded, not what they take.
_MOST_CELLS = 10_000_000
_MOST_BYTES = 2**30
_NESTED_TEXT = 2**28
# In proportion to the file, as with the other formats; a small one may take this much whatever it holds.
_FREE_BYTES, _MOST_TIMES = 2**27, 32
_VALUE_BYTES, _ROW_BYTES = 16, 200
# Threads of pyarrow's would outlive the call, in a process that may fork.
_HOW = {"use_threads": False}
_EXPECTED = "booleans, numbers, text, dates, times, decimals, or lists and structs of the first three"


def decode(body: bytes | bytearray) -> list[Any]:
    """The rows of a Parquet file as objects. BadBody says what is wrong with it, or names the row."""
    rows = decode_each(body)
    for number, row in enumerate(rows, 1):
        if isinstance(row, BadBody):
            raise BadBody(f"{PARQUET}: row {number}: {row}")
    return rows


def decode_each(body: bytes | bytearray) -> list[Any]:
    """As decode, but a row with a number that is not finite has its BadBody in its place."""
    source = _without_arrow_schema(body)
    try:
        file = _checked(source)
        # A group at a time: pyarrow reads texts in lists as shared ones only so.
        rows = [
            row for place in range(file.num_row_groups) for row in _rows(file.read_row_group(place, **_HOW))
        ]
    except (BadBody, UnsupportedMediaType):
        raise
    except Exception as error:  # pyarrow raises six kinds on a damaged file; all mean the same here
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise BadBody(f"{PARQUET}: it cannot be read: {reason}") from None
    if len(rows) != file.metadata.num_rows:
        raise BadBody(f"{PARQUET}: {len(rows)} rows; its footer says {file.metadata.num_rows}")
    return rows


def count(body: bytes | bytearray) -> int:
    """How many rows a Parquet file says that it has. BadBody where it is none."""
    try:
        return int(_opened(_without_arrow_schema(body)).metadata.num_rows)
    except (BadBody, UnsupportedMediaType):
        raise
    except Exception as error:  # as above
        raise BadBody(f"{PARQUET}: it cannot be read: {type(error).__name__}: {str(error)[:300]}") from None


def part(body: bytes | bytearray, first: int, rows: int) -> bytes:
    """So many rows of a Parquet file, from the one of that number on, as a file of its own."""
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    table = _checked(_without_arrow_schema(body)).read(**_HOW).slice(first, rows)
    columns = [one.cast(one.type.value_type) if _is_shared(one) else one for one in table.columns]
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(columns, names=table.column_names), file)
    return file.getvalue()


def _is_shared(column: Any) -> bool:
    return bool(import_module("pyarrow.types").is_dictionary(column.type))


def _checked(source: bytes) -> Any:
    """The file, opened to be read, of a size and with columns that we read."""
    _check_size(source)
    file = _opened(source)
    _check_columns(file.schema_arrow)
    schema = file.metadata.schema
    columns = [schema.column(place) for place in range(len(schema.names))]
    return _opened(source, [column.path for column in columns if column.physical_type == "BYTE_ARRAY"])


def _rows(table: Any) -> list[Any]:
    """The rows of a table, in which texts are shared: a few bytes may stand for any number of long ones."""
    names = table.column_names
    for name, column in zip(names, table.columns, strict=True):
        _check_nested_text(name, column)
    columns = [list(_values(column)) for column in table.columns]
    rows: list[Any] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    for name, column in zip(names, table.columns, strict=True):
        for place in _faults(column):
            rows[place] = BadBody(
                f"column {shown(name)}: {shown(column[place].as_py())} holds NaN or infinity; "
                "expected finite numbers, or null for a missing value"
            )
    return rows


def _opened(source: bytes, dictionaries: list[str] | None = None) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise UnsupportedMediaType(
            f"Content-Type: {PARQUET} needs pyarrow, which is not installed: "
            "add it to inference/requirements.txt"
        ) from None
    return parquet.ParquetFile(
        io.BytesIO(source), read_dictionary=dictionaries, pre_buffer=False, arrow_extensions_enabled=False
    )


def _without_arrow_schema(body: bytes | bytearray) -> bytes:
    """The file with the schema that Arrow's writers add beside Parquet's own out of sight.

    It may name extension types, and whoever has registered one (a handler's library) makes it from bytes of
    the file: by pickle, in Ray before 2.55 (CVE-2026-41486). Parquet's own schema says all that is read here.
    """
    if body[:4] != _MAGIC or body[-4:] != _MAGIC or len(body) < 12:
        raise BadBody(f"{PARQUET}: begins with {shown(bytes(body[:4]))}; expected a whole Parquet file")
    start = max(len(body) - 8 - int.from_bytes(body[-8:-4], "little"), 4)
    return bytes(body[:start]) + bytes(body[start:]).replace(b"ARROW:schema", b"ARROW-schema")


def _check_size(source: bytes) -> None:
    try:
        size, values, rows = parquet_pages.taken(source)
    except thrift.Faulty as error:
        raise BadBody(f"{PARQUET}: it cannot be read: {error}") from None
    if values > _MOST_CELLS:
        raise BadBody(f"{PARQUET}: {values} values; expected up to {_MOST_CELLS}: write smaller files")
    if size > _MOST_BYTES:
        raise BadBody(
            f"{PARQUET}: {size} bytes uncompressed; expected up to {_MOST_BYTES}: write smaller files"
        )
    needed = size + values * _VALUE_BYTES + rows * _ROW_BYTES
    most = max(_FREE_BYTES, _MOST_TIMES * len(source))
    if needed > most:
        raise BadBody(
            f"{PARQUET}: {rows} rows of {values} values would take {needed} bytes of memory; expected up to "
            f"{most} for a file of {len(source)} bytes: write smaller files"
        )


def _check_columns(schema: Any) -> None:
    if not schema.names:
        raise BadBody(f"{PARQUET}: no columns; expected some")
    for field in schema:
        if schema.names.count(field.name) > 1:
            raise BadBody(f"{PARQUET}: column {shown(field.name)} is there twice; expected it once")
        if not (_is_plain(field.type) or _converter(field.type)):
            raise BadBody(
                f"{PARQUET}: column {shown(field.name)} holds {shown(str(field.type))}; expected {_EXPECTED}"
            )


def _is_plain(kind: Any) -> bool:
    """Whether pyarrow gives its values as JSON has them."""
    types = import_module("pyarrow.types")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_plain(kind.value_type)
    if types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    checks = ("boolean", "integer", "floating", "string", "large_string", "null")
    return any(getattr(types, f"is_{check}")(kind) for check in checks)


def _converter(kind: Any) -> Callable[[Any], list[Any]] | None:
    """How a column of a kind that is not plain is read; None where it is not."""
    types = import_module("pyarrow.types")
    if types.is_dictionary(kind):
        return _shared
    if types.is_timestamp(kind):
        return _moments
    if types.is_decimal(kind):
        return _decimals
    if types.is_date(kind) or types.is_time(kind):
        return _dates
    return None


def _values(column: Any) -> Iterator[Any]:
    read = None if _is_plain(column.type) else _converter(column.type)
    for chunk in column.chunks:
        yield from read(chunk) if read else chunk.to_pylist()


def _shared(array: Any) -> list[Any]:
    """Texts that are equal as one object: a few bytes of a file may stand for any number of long ones."""
    texts = array.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in array.indices.to_pylist()]


def _moments(array: Any) -> list[Any]:
    arrow = import_module("pyarrow")
    plain = arrow.timestamp("us")
    # Python's own zones may not be installed in an image; an instant's number needs none.
    naive = array.cast(arrow.timestamp("us", array.type.tz), safe=False).view(plain)
    suffix = "" if array.type.tz is None else "+00:00"
    return [None if moment is None else moment.isoformat() + suffix for moment in naive.to_pylist()]


def _dates(array: Any) -> list[Any]:
    arrow = import_module("pyarrow")
    if arrow.types.is_time64(array.type):
        array = array.cast(arrow.time64("us"), safe=False)
    return [None if moment is None else moment.isoformat() for moment in array.to_pylist()]


def _decimals(array: Any) -> list[Any]:
    return [None if number is None else _number(number) for number in array.to_pylist()]


def _number(number: Decimal) -> int | float:
    whole = number == number.to_integral_value() and abs(number) < 2**63
    return int(number) if whole and number.as_tuple().exponent == 0 else float(number)


def _check_nested_text(name: str, column: Any) -> None:
    compute, types = import_module("pyarrow.compute"), import_module("pyarrow.types")
    for leaf in (leaf for chunk in column.chunks for leaf in _leaves(chunk) if leaf is not chunk):
        if types.is_dictionary(leaf.type):
            longest = compute.max(compute.binary_length(leaf.dictionary)).as_py() or 0
            if longest * len(leaf) > _NESTED_TEXT:
                raise BadBody(
                    f"{PARQUET}: column {shown(name)}: {len(leaf)} texts of up to {longest} bytes in its "
                    "lists or structs are too much; write smaller files"
                )


def _faults(column: Any) -> list[int]:
    """The rows of a column in which a number is not finite."""
    if all(_is_finite_array(leaf) for chunk in column.chunks for leaf in _leaves(chunk)):
        return []
    return [place for place, value in enumerate(column.to_pylist()) if not _is_finite(value)]


def _leaves(array: Any) -> list[Any]:
    types = import_module("pyarrow.types")
    if types.is_struct(array.type):
        return [leaf for child in array.flatten() for leaf in _leaves(child)]
    if types.is_list(array.type) or types.is_large_list(array.type) or types.is_fixed_size_list(array.type):
        return _leaves(array.flatten())
    return [array]


def _is_finite_array(array: Any) -> bool:
    compute, arrow = import_module("pyarrow.compute"), import_module("pyarrow")
    if not arrow.types.is_floating(array.type):
        return True
    wide = array.cast(arrow.float32()) if arrow.types.is_float16(array.type) else array
    return compute.all(compute.is_finite(wide)).as_py() in (True, None)


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return all(map(_is_finite, value.values())) if isinstance(value, dict) else True
