"""Counts the records in a run of whole lines, apart from whoever scores them, and finds lines that cannot be
sent. Pure.

A line of whitespace alone is no record, and neither is one that repeats the header; both count as lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.serving.batch.inputs import MAX_RECORD
from inference.serving.codecs.media import CSV

_BLANK = re.compile(rb"\n[ \t\r\x0b\x0c]*\n").search


class BadLine(Exception):
    """A line that no payload can hold; `line` counts from 0."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True)
class Counted:
    """How many lines there are, and the numbers (from 0) of those that are records and headers; None stands
    for all of them, and for none."""

    lines: int
    records: tuple[int, ...] | None = None
    headers: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """How many records there are."""
        return self.lines if self.records is None else len(self.records)

    def line_of(self, record: int) -> int:
        """The number of the line that holds the record of that number, both from 0."""
        return record if self.records is None else self.records[record]


def split(body: bytes) -> list[bytes]:
    """The lines without their ends; a last one that has no end is a line too."""
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def count(body: bytes, header: bytes) -> Counted:
    """The records of a body; `header` is the line (without its end) that is none, b"" where there is none."""
    if not body:
        return Counted(0)
    ended = body if body.endswith(b"\n") else body + b"\n"
    if _BLANK(b"\n" + ended) is None and (not header or header not in body):
        return Counted(ended.count(b"\n"))
    found = split(body)
    headers = tuple(n for n, line in enumerate(found) if header and line.rstrip(b"\r") == header)
    not_these = set(headers)
    records = tuple(n for n, line in enumerate(found) if line.strip() and n not in not_these)
    return Counted(len(found), records, headers)


def check(body: bytes, content_type: str) -> None:
    """BadLine for a line that is not UTF-8 or too long, or for a CSV field that goes on in the next line."""
    if len(body) > MAX_RECORD:
        _check_lengths(body)
    if not body.isascii():
        _check_text(body)
    if content_type == CSV and b'"' in body:
        _check_quotes(body)


def _check_lengths(body: bytes) -> None:
    for number, line in enumerate(split(body)):
        if len(line) > MAX_RECORD:
            reason = (
                f"a record of {len(line):,} bytes; expected at most {MAX_RECORD:,}, to fit into one payload"
            )
            raise BadLine(number, reason)


def _check_text(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        reason = f"byte 0x{body[error.start]:02x} is not UTF-8 ({error.reason}); expected UTF-8"
        raise BadLine(body.count(b"\n", 0, error.start), reason) from None


def _check_quotes(body: bytes) -> None:
    # Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html: CSV is split by lines, and line
    # breaks inside a field are not supported. What a job refuses is not scored here either.
    for number, line in enumerate(split(body)):
        if line.count(b'"') % 2:
            reason = (
                'an odd number of ": a field with a line break in it is not supported in batch; take it out'
            )
            raise BadLine(number, reason)
