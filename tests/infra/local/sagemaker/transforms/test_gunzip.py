"""CompressionType Gzip is undone as a stream."""

import gzip
import io
import zlib

import pytest

from infra.local.archives import Limits
from infra.local.sagemaker.transforms.gunzip import Bomb, Unpacked

MIB = 1024 * 1024


def test_a_read_gives_as_much_as_was_asked_for_until_the_end():
    data = bytes(range(256)) * 5000
    unpacked = Unpacked(io.BytesIO(gzip.compress(data)))
    assert [len(unpacked.read(MIB)), len(unpacked.read(MIB)), unpacked.read(MIB)] == [
        MIB,
        len(data) - MIB,
        b"",
    ]


def test_members_one_after_the_other_are_one_object():
    assert Unpacked(io.BytesIO(gzip.compress(b"a\n") + gzip.compress(b"b\n"))).read(10) == b"a\nb\n"


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"abc" * 100)[:-9], b"\x1f\x8b\x08" + b"\0" * 9])
def test_damage_is_an_error(data):
    with pytest.raises((OSError, EOFError, zlib.error)):
        Unpacked(io.BytesIO(data)).read(1000)


def test_a_bomb_is_stopped_before_it_is_unpacked():
    packed = io.BytesIO(gzip.compress(bytes(20 * MIB)))
    small = Unpacked(io.BytesIO(packed.getvalue()))
    while small.read(MIB):
        pass  # a small object may: 256 MB is where it begins to count
    unpacked = Unpacked(packed, Limits(ratio_counts_from=MIB))
    with pytest.raises(Bomb, match="250 times its size"):
        while unpacked.read(MIB // 4):
            pass
