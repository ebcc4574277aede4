"""Texts on disk: in whatever order they come, each is found under its number."""

import random

import pytest

from deploy.gcp import spool


def test_texts_are_read_in_the_order_of_their_numbers():
    numbers = [*range(1000)]
    random.Random(0).shuffle(numbers)
    with spool.opened(1000) as texts:
        assert all(texts.put(number, b"%d\n" % number) for number in numbers)
        texts.seal()
        assert b"".join(texts.blocks(range(1000))) == b"".join(b"%d\n" % number for number in range(1000))
        assert b"".join(texts.blocks(range(3, 5))) == b"3\n4\n"
        assert texts.text(999) == b"999\n"


def test_the_first_of_two_texts_counts_and_what_is_missing_is_known():
    with spool.opened(3) as texts:
        assert texts.put(1, b"a")
        assert not texts.put(1, b"b")
        texts.seal()
        assert (texts.text(1), texts.missing(range(3)), texts.missing(range(1, 2))) == (b"a", 2, 0)
        with pytest.raises(LookupError):
            texts.text(0)


def test_large_texts_come_in_pieces():
    with spool.opened(5) as texts:
        for number in range(5):
            texts.put(number, b"%d" % number * 700_000)
        texts.seal()
        pieces = list(texts.blocks(range(5)))
        assert [len(piece) for piece in pieces] == [1_400_000, 1_400_000, 700_000]


@pytest.mark.parametrize("size", [0, 2])
def test_nothing_is_no_error(size):
    with spool.opened(size) as texts:
        texts.seal()
        assert list(texts.blocks(range(0))) == []
        assert texts.missing(range(size)) == size
