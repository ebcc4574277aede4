"""What is kept, and for how long."""

from __future__ import annotations

from inference.serving.caching import cache
from inference.serving.caching.cache import Cache
from inference.serving.codecs import media
from inference.serving.exchange import Reply, Request


def reply(size: int, status: int = 200) -> Reply:
    return Reply(status, "application/json", b"x" * size)


def request(body: bytes, kind: str = media.JSON, accept: str = "") -> Request:
    content_type = media.content_type(kind)
    return Request(body, content_type, media.accepted(accept, content_type.format))


def test_the_one_that_was_not_asked_for_the_longest_time_goes_first():
    kept = Cache(2)
    for name in "ab":
        kept.keep(name, reply(1))
    kept.get("a")
    kept.keep("c", reply(1))
    assert [kept.get(name) is not None for name in "abc"] == [True, False, True]


def test_all_together_take_no_more_than_their_bytes():
    kept = Cache(1000, most_bytes=100)
    for name in "abcd":
        kept.keep(name, reply(40))
    assert [kept.get(name) is not None for name in "abcd"] == [False, False, True, True]
    kept.keep("large", reply(101))
    assert kept.get("large") is None and kept.get("d")


def test_an_answer_that_is_none_is_not_kept():
    kept = Cache(2)
    kept.keep("a", reply(1, 503))
    assert kept.get("a") is None


def test_a_stream_is_not_kept():
    kept = Cache(2)
    kept.keep("a", Reply(200, media.JSON_LINES, b"1\n", streams=True))
    assert kept.get("a") is None


def test_a_key_is_the_same_for_the_same_question_alone():
    first = cache.key(request(b"[1]"))
    assert first == cache.key(request(bytearray(b"[1]"), "application/json; charset=utf-8"))
    others = [
        request(b"[1] "),
        request(b"[1]", "text/csv"),
        request(b"[1]", accept="text/csv"),
        request(b"[1]", "text/csv; header=present"),
    ]
    assert len({first, *map(cache.key, others)}) == 5
