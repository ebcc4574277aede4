"""Redis' protocol, however its bytes come in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving.caching.redis import Broken, Failure, Replies, command

LARGEST = 1000
ANSWERS = st.one_of(
    st.none(),
    st.binary(max_size=LARGEST),
    st.text("abc :$-+*\"'", max_size=40).map(Failure),
)


def written(answer: bytes | Failure | None) -> bytes:
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, Failure):
        return b"-" + answer.reason.encode() + b"\r\n"
    return b"$%d\r\n%b\r\n" % (len(answer), answer)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in zip(places, places[1:], strict=False)]


@settings(deadline=None)
@given(st.lists(ANSWERS, max_size=8), st.lists(st.integers(0, 5000), max_size=12))
def test_replies_are_the_same_however_they_are_cut(answers, cuts):
    replies = Replies(LARGEST)
    data = b"".join(map(written, answers))
    assert [one for piece in pieces(data, cuts) for one in replies.feed(piece)] == answers


def test_what_is_no_value_is_read_as_text():
    assert Replies(LARGEST).feed(b"+OK\r\n:12\r\n") == [b"OK", b"12"]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_comes_is_replies_or_broken(data):
    with contextlib.suppress(Broken):
        Replies(LARGEST).feed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$1001\r\n",
        b"$99999999999999\r\n",
        b"$x\r\n",
        b"$3\r\nabcd\r\n",
        b"*1\r\n",
    ],
)
def test_what_is_not_redis_is_broken(data):
    with pytest.raises(Broken):
        Replies(LARGEST).feed(data)


def test_a_line_that_never_ends_is_broken():
    replies = Replies(LARGEST)
    with pytest.raises(Broken):
        for _ in range(100):
            replies.feed(b"+" * 1000)


def test_a_command_holds_any_bytes():
    assert command(b"SET", b"a\r\n", b"\0") == b"*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$1\r\n\0\r\n"
