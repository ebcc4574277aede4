"""What an old handler answers is sent as it is, unless HTTP cannot hold it."""

from __future__ import annotations

import pytest

from inference.serving.errors import HandlerFailed
from inference.serving.handlers import Answer
from inference.serving.online import sendable


def test_an_answer_is_sent_as_it_is():
    reply = sendable.reply(Answer(418, b"short", "text/plain; charset=utf-8", {"X-Own": "a b\tcaf\xe9"}))
    assert (reply.status, reply.content_type, reply.body) == (418, "text/plain; charset=utf-8", b"short")
    assert reply.headers == ((b"X-Own", b"a b\tcaf\xe9"),)


@pytest.mark.parametrize(
    "name",
    ["Connection", "Content-Length", "transfer-encoding", "Keep-Alive", "Upgrade", "TE", "Trailer", "Date"],
)
def test_what_it_says_of_the_connection_is_ours_to_say(name):
    assert sendable.reply(Answer(200, b"x", "", {name: "chunked"})).headers == ()


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(status):
    assert sendable.reply(Answer(status, b"x")).body == b""


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000, -200, "200", None, 200.5])
def test_a_status_that_ends_no_request_is_the_handler_s_failure(status):
    with pytest.raises(HandlerFailed, match="the status .*; expected 200 to 999"):
        sendable.reply(Answer(status, b""))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\0"),
        ("x", "\x1b[31m"),
        ("x", "漢"),
        ("x", 3),
        ("x\r\ny", "a"),
        ("x y", "a"),
        ("x:", "a"),
        ("", "a"),
    ],
)
def test_a_header_that_would_be_another_is_the_handler_s_failure(name, text):
    with pytest.raises(HandlerFailed, match="expected a name of letters, digits and dashes, and text on one"):
        sendable.reply(Answer(200, b"", "", {name: text}))


def test_a_content_type_is_a_header_too():
    with pytest.raises(HandlerFailed, match="'content-type'"):
        sendable.reply(Answer(200, b"", "text/plain\r\nX-Evil: 1"))
