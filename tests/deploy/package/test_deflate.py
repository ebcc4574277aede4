"""What GzipWriter writes is one plain gzip member, however compressed and stored pieces alternate."""

from __future__ import annotations

import gzip
import io
import os
import random
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.package.deflate import ALWAYS_COMPRESSED, STORED_BLOCK, GzipWriter

RANDOM = random.Random(0).randbytes(2 * 1024 * 1024)
TEXT = b"the quick brown fox %d " * 40_000


def _gzipped(*pieces: bytes) -> bytes:
    file = io.BytesIO()
    writer = GzipWriter(file)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return file.getvalue()


PIECES = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.sampled_from([RANDOM, TEXT]), st.integers(0, 500_000), st.integers(0, 200_000)).map(
        lambda choice: choice[0][choice[1] : choice[1] + choice[2]]
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=8))
def test_any_sequence_of_pieces_comes_back_as_one_member(pieces):
    one = zlib.decompressobj(wbits=31)

    assert one.decompress(_gzipped(*pieces)) == b"".join(pieces)
    assert one.eof and one.unused_data == b""


def test_matches_never_reach_back_over_stored_bytes():
    pieces = [TEXT[:50_000], RANDOM[:70_000], TEXT[:50_000], RANDOM[:70_000], TEXT[:50_000]]

    assert gzip.decompress(_gzipped(*pieces)) == b"".join(pieces)


def test_what_compresses_is_compressed():
    assert len(_gzipped(TEXT)) < len(TEXT) / 50


@pytest.mark.parametrize("size", [ALWAYS_COMPRESSED + 1, STORED_BLOCK * 2, 1_000_000, len(RANDOM)])
def test_random_bytes_are_stored_as_they_are_five_bytes_a_block_more(size):
    data = RANDOM[:size]
    blocks = -(-size // STORED_BLOCK)
    ends = 10 + 2 + 8  # header, the empty last block, checksum and size

    packed = _gzipped(data)

    assert len(packed) == size + 5 * blocks + ends
    assert data[:STORED_BLOCK] in packed


def test_weights_that_would_save_less_than_a_quarter_are_stored():
    high_byte_varies_little = bytes(
        byte if index % 4 else byte & 0x0F for index, byte in enumerate(RANDOM[:400_000])
    )

    assert len(_gzipped(high_byte_varies_little)) > 400_000


def test_the_header_names_no_file_time_or_system():
    assert _gzipped(b"x")[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_the_same_bytes_give_the_same_archive():
    data = os.urandom(300_000)

    assert _gzipped(TEXT, data) == _gzipped(TEXT, data)
