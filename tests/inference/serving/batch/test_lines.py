"""The reader's own count of records, and the lines that no payload can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.serving.batch import lines
from inference.serving.batch.inputs import MAX_RECORD
from inference.serving.batch.lines import BadLine
from inference.serving.codecs.media import CSV, JSON_LINES

SOME = st.sampled_from([b"", b" ", b"\t\r", b"a,b", b"a,b\r", b"1,2", b"a,b ", b"\x0b", b"\x1c", b"xa,b"])


@given(found=st.lists(SOME, min_size=1), ended=st.booleans(), header=st.sampled_from([b"", b"a,b"]))
def test_what_is_neither_blank_nor_the_header_is_a_record(
    found: list[bytes], ended: bool, header: bytes
) -> None:
    body = b"\n".join(found) + (b"\n" if ended else b"")
    present = found if ended or found[-1] else found[:-1]
    counted = lines.count(body, header)
    is_header = [bool(header) and line.rstrip(b"\r") == header for line in present]
    records = [number for number, line in enumerate(present) if line.strip() and not is_header[number]]
    assert counted.lines == len(present)
    assert counted.rows == len(records)
    assert [counted.line_of(record) for record in range(counted.rows)] == records
    assert counted.headers == tuple(number for number, one in enumerate(is_header) if one)
    assert lines.split(body) == present


@pytest.mark.parametrize(
    ("body", "kind", "line", "reason"),
    [
        (b"1\n2\n\xff\n", JSON_LINES, 2, "byte 0xff is not UTF-8"),
        (b'"a\nb"\n', CSV, 0, "line break"),
        (b'1\n"a""b"\n"\n', CSV, 2, "line break"),
        (b"1\n" + b"2" * (MAX_RECORD + 1) + b"\n", JSON_LINES, 1, "6,291,457 bytes"),
    ],
)
def test_a_line_that_cannot_be_sent_is_named(body: bytes, kind: str, line: int, reason: str) -> None:
    with pytest.raises(BadLine, match=reason) as caught:
        lines.check(body, kind)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'"\n', JSON_LINES), (b'"a,b","c""d"\n', CSV), (b"2" * MAX_RECORD, JSON_LINES), ("é\n".encode(), CSV)],
)
def test_what_can_be_sent_is_let_through(body: bytes, kind: str) -> None:
    lines.check(body, kind)
