"""What stands before the bodies: of a request its path, of an answer all of it. Pure, but for the date."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import httptools

from inference.serving.exchange import Reply

_STATUS_LINES = {one.value: b"HTTP/1.1 %d %s\r\n" % (one, one.phrase.encode()) for one in HTTPStatus}


@lru_cache(maxsize=256)
def path(url: bytes) -> str:
    """The path of a request's target; httptools.HttpParserInvalidURLError where it is none."""
    found = httptools.parse_url(url).path or b"/"
    return (unquote_to_bytes(found) if b"%" in found else found).decode("latin-1")


def head(reply: Reply, close: bool, chunked: bool = False) -> bytes:
    """All that goes out before the body; `close` says that the connection ends with it."""
    lines = _first_lines(reply.status, reply.content_type, close, int(time.time()))
    if reply.headers:
        lines += b"".join(b"%s: %s\r\n" % header for header in reply.headers)
    if chunked:
        return lines + b"transfer-encoding: chunked\r\n\r\n"
    return lines + (b"\r\n" if reply.streams else b"content-length: %d\r\n\r\n" % len(reply.body))


@lru_cache(maxsize=64)
def _first_lines(status: int, content_type: str, close: bool, second: int) -> bytes:
    """What answers of the same kind have in common for a second."""
    # A handler of another server may answer with a status of its own.
    lines = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    lines += b"date: %s\r\n" % formatdate(second, usegmt=True).encode()
    if content_type:
        lines += b"content-type: %s\r\n" % content_type.encode("latin-1")
    return lines + b"connection: close\r\n" if close else lines
