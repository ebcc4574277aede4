"""Which files a run scores, found and looked at before anything is started. Reads, never writes.

The look is short: names, places, the first bytes, the first two CSV rows. What stands further inside is
checked as the file streams.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from inference.serving.codecs.media import CSV, JSON_LINES, PARQUET
from inference.serving.errors import StartError, shown

_KINDS = {".jsonl": JSON_LINES, ".ndjson": JSON_LINES, ".csv": CSV, ".parquet": PARQUET}
_EXPECTED = "expected .jsonl, .ndjson, .csv (these with .gz too) or .parquet"
_LONGEST_NAME = 255 - len(".errors.jsonl")
# Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html: MaxPayloadInMB is 6
# where nobody says otherwise, and a record has to fit into one payload.
MAX_RECORD = 6 * 2**20
BOM = b"\xef\xbb\xbf"


class BadInput(StartError):
    """The input or the output place cannot be used: where, what is there, and what would be right."""


@dataclass(frozen=True)
class Input:
    """A file to score: its name relative to IN, and what it was when it was found. Sizes in bytes.

    `changed_ns` is the time of its last change, of content or of standing: unlike the time of modification,
    nobody can set it back, as those do who unpack or copy a file with its old times.
    """

    name: str
    path: Path
    content_type: str
    gzipped: bool
    size: int
    changed_ns: int


def find(place: Path) -> list[Input]:
    """The input files of a file or a folder, nested ones too, by name. BadInput where there are none, where
    one is empty or of another kind, or where two are of different kinds or compressions."""
    try:
        return _found(place)
    except OSError as error:
        raise BadInput(f"{error.filename} cannot be read: {error.strerror}") from None


def _found(place: Path) -> list[Input]:
    if not place.exists():
        raise BadInput(f"{place} is not there; expected a file or a folder to score")
    found = [_described(place.parent, place)] if not place.is_dir() else list(_below(place))
    if not found:
        raise BadInput(f"{place} holds no input; {_EXPECTED}, and no name that begins with . or _")
    for one in found:
        if (one.content_type, one.gzipped) != (found[0].content_type, found[0].gzipped):
            raise BadInput(
                f"{found[0].path} and {one.path} are of different kinds; "
                "one run scores files of one kind and one compression: give each a folder of its own"
            )
    _check_names(found)
    return found


def _check_names(found: list[Input]) -> None:
    """BadInput where one file's answers would need a name that is a folder of another's."""
    folders = {folder.as_posix() for one in found for folder in PurePosixPath(one.name).parents}
    for one in found:
        if not folders.isdisjoint((f"{one.name}.out", f"{one.name}.errors.jsonl")):
            raise BadInput(
                f"{one.path}: a folder beside it is named as its answers will be; give that another name"
            )


def unchanged(source: Input) -> bool:
    """Whether the file is still the one that was found."""
    try:
        status = source.path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_ctime_ns) == (source.size, source.changed_ns)


def check_places(place: Path, output: Path) -> None:
    """BadInput where one of the two lies in the other: a run would score what a run has written."""
    try:
        source, target = place.resolve(), output.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
        raise BadInput(f"OUT {output} cannot be found: {error}") from None
    if source == target or source in target.parents or target in source.parents:
        raise BadInput(
            f"OUT {output} and IN {place} lie in one another; expected two places, neither inside the other"
        )


def header_of(found: list[Input], policy: str) -> str:
    """Look at every file's beginning; the header line that all of them share, or "" where policy is "none".

    BadInput for an unreadable or empty file, for a header that differs under "strip", and under "none" for a
    first row that looks like a header: nothing guesses which of the two was meant.
    """
    header: str | None = None
    for source in found:
        if not source.size:
            raise _empty(source)
        lines = _first_lines(source)
        if source.content_type != CSV:
            continue
        if policy == "none":
            _refuse_header(source, lines)
            continue
        own = _header(source, lines[0])
        if header not in (None, own):
            raise BadInput(
                f"{found[0].path} and {source.path} begin with different headers, {shown(header)} and "
                f"{shown(own)}; expected the same header in every file of a run"
            )
        header = own
    return header or ""


def header_line(line: bytes) -> bytes:
    """A file's first line as a header: without BOM and line end."""
    return line.removeprefix(BOM).rstrip(b"\r\n")


def _below(folder: Path) -> Iterator[Input]:
    for root, folders, names in os.walk(folder, onerror=_give_up):
        # Other tools keep what is no data (_temporary, .ipynb_checkpoints) under such names.
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in folders:
            if (Path(root) / name).is_symlink():
                raise BadInput(f"{Path(root) / name} is a link to a folder; give the folder itself as IN")
        for name in sorted(names):
            if not name.startswith((".", "_")):
                yield _described(folder, Path(root) / name)


def _give_up(error: OSError) -> None:
    # os.walk alone would pass over a folder that cannot be read, and so over all that is in it.
    raise error


def _described(folder: Path, path: Path) -> Input:
    name = path.name.lower()
    stem = name.removesuffix(".gz")
    gzipped = stem != name
    kind = _KINDS.get(Path(stem).suffix)
    if kind is None or path.name.startswith((".", "_")) or (gzipped and kind == PARQUET):
        raise BadInput(f"{path} is no input; {_EXPECTED}, and no name that begins with . or _")
    if not path.is_file():
        raise BadInput(f"{path} is no regular file; expected one, or a folder of them")
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise BadInput(
            f"{path}: expected a name of at most {_LONGEST_NAME} bytes, for .errors.jsonl is added"
        )
    status = path.stat()
    name = path.relative_to(folder).as_posix()
    return Input(name, path, kind, gzipped, status.st_size, status.st_ctime_ns)


def _first_lines(source: Input) -> list[bytes]:
    """Up to two lines of text with something in them; of a Parquet file what marks it as one."""
    try:
        with gzip.open(source.path) if source.gzipped else source.path.open("rb") as file:
            if source.content_type == PARQUET:
                return [_magic(source, file)]
            lines = list(_filled(file))
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{source.path} cannot be read: {error}") from None
    if not lines:
        raise _empty(source)
    return lines


def _empty(source: Input) -> BadInput:
    return BadInput(f"{source.path} is empty; expected at least one record")


def _filled(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    found = 0
    while found < 2 and (line := file.readline(MAX_RECORD + 2)):
        if line.removeprefix(BOM).strip():
            found += 1
            yield line


def _magic(source: Input, file: BinaryIO | gzip.GzipFile) -> bytes:
    # Source: parquet.apache.org/docs/file-format: the file begins and ends with it.
    if find_spec("pyarrow") is None:
        raise BadInput(f"{source.path}: to read Parquet takes pyarrow; install it beside the kit")
    begins = file.read(4)
    file.seek(-min(4, source.size), os.SEEK_END)
    if (begins, file.read(4)) != (b"PAR1", b"PAR1"):
        raise BadInput(f"{source.path} is no Parquet file: expected PAR1 at its beginning and its end")
    return begins


def _header(source: Input, line: bytes) -> str:
    """The header that a file begins with, if it names every column, and each another."""
    header = _text(source, line)
    cells = _cells(source, line)
    if not cells or not all(cells) or len(set(cells)) < len(cells) or header.count('"') % 2:
        raise BadInput(
            f"{source.path} begins with {shown(header)}, which is no header; "
            "expected a name for each column, and each another"
        )
    return header


def _refuse_header(source: Input, lines: list[bytes]) -> None:
    first, *others = [_cells(source, line) for line in lines]
    named = bool(first) and all(cell.strip() and not _is_number(cell) for cell in first)
    if named and others and any(map(_is_number, others[0])):
        raise BadInput(
            f"{source.path}: line 1 looks like a header: {shown(_text(source, lines[0]))}; "
            'say what it is: header = "strip" (--header strip) drops it and names the columns by it'
        )


def _cells(source: Input, line: bytes) -> list[str]:
    try:
        return next(csv.reader([_text(source, line)]), [])
    except csv.Error:
        return []  # the row itself is at fault, and is said to be when its turn comes


def _text(source: Input, line: bytes) -> str:
    try:
        return header_line(line).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{source.path}: its first lines are not UTF-8: {error.reason}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
