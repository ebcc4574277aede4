"""Records counted block by block, held against counting them line by line."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.batch import counting
from deploy.batch.counting import Rules, count
from deploy.batch.places import BatchError

LINES = st.lists(st.sampled_from([b"", b" ", b"\t\r", b"1", b"a,b", b"\xc3\xa9", b"  x ", b"\x0b", b'"q"']))


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time, as a network does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(7, size) if size and size > 0 else 7)


@given(LINES, st.booleans(), st.integers(3, 9))
def test_records_are_the_lines_with_something_in_them_however_the_stream_comes(lines, ended, block):
    body = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK", block)
        tally = count(Dribble(body), Rules(), "f")
    assert tally.records == sum(bool(line.strip()) for line in body.split(b"\n"))
    assert tally.first == [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()][:2]


@given(LINES, st.integers(1, 9))
def test_blocks_are_whole_lines_and_all_of_the_stream(lines, block):
    body = b"\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK", block)
        blocks = list(counting.whole_lines(io.BytesIO(body)))
    assert b"".join(blocks) == body
    assert all(part.endswith(b"\n") for part in blocks[:-1])


@pytest.mark.parametrize("limit", [1024, 3 * 2**20])
def test_a_record_over_the_limit_is_refused_with_its_line_and_one_at_the_limit_is_not(limit):
    fits = b"x" * (limit - 1) + b"\n"
    assert count(io.BytesIO(b"1\n" + fits + fits), Rules(limit), "f.csv").records == 3
    with pytest.raises(BatchError, match=r"^f\.csv:3: the record is over "):
        count(io.BytesIO(b"1\n" + fits + b"x" + fits), Rules(limit), "f.csv")


def test_bytes_that_are_no_utf_8_are_refused_with_their_line():
    with pytest.raises(BatchError, match=r"^f:3: not UTF-8"):
        count(io.BytesIO(b"1\n\n\xff\n"), Rules(), "f")
    assert count(io.BytesIO("é\n".encode() * 3), Rules(), "f").records == 3


def test_a_quoted_field_over_two_lines_is_refused_in_csv_alone():
    body = b'a,"b"\nc,"d\ne",f\n'
    with pytest.raises(BatchError, match="^f:2: a quoted field goes on in the next line"):
        count(io.BytesIO(body), Rules(whole_fields=True), "f")
    assert count(io.BytesIO(body), Rules(), "f").records == 3


def test_a_row_that_equals_the_header_is_refused_for_the_container_would_drop_it():
    with pytest.raises(BatchError, match="^f:4: the header once more"):
        count(io.BytesIO(b"\xef\xbb\xbfx,y\r\n1,2\n\nx,y\n"), Rules(header=True), "f")
    assert count(io.BytesIO(b"x,y\n1,2\nxx,y\n"), Rules(header=True), "f").records == 3


def test_a_byte_order_mark_is_no_part_of_the_first_record():
    assert count(io.BytesIO(b"\xef\xbb\xbfx,y\r\n1,2\r\n"), Rules(), "f").first == [b"x,y", b"1,2"]
