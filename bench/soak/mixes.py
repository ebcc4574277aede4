"""What is asked: requests that are good, bad, left alone in their middle, and streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

# Where a client leaves: when a part of its body is sent, when all is, when a part of its answer is read.
NOWHERE, IN_BODY, BEFORE_ANSWER, IN_ANSWER = "", "body", "before", "answer"
JSON = "application/json"


@dataclass(frozen=True)
class Kind:
    """A kind of request: what it is made of, the status that it must have, and how often it comes.

    `fresh`: on a connection of its own. `leaves`: where its client goes away. `breaks`: whether the server
    must break its answer off.
    """

    name: str
    weight: int
    make: Callable[[Random], bytes]
    status: int = 200
    fresh: bool = False
    leaves: str = NOWHERE
    breaks: bool = False


def posted(instances: Any, *lines: str, content_type: str = JSON) -> bytes:
    """A request for predictions with these instances; bytes are a body as it is."""
    body = instances if isinstance(instances, bytes) else json.dumps(instances).encode()
    return _request("POST /invocations", *lines, f"Content-Type: {content_type}", body=body)


def asked(path: str) -> bytes:
    """A GET."""
    return _request(f"GET {path}")


def _request(what: str, *lines: str, body: bytes = b"") -> bytes:
    head = [f"{what} HTTP/1.1", "Host: soak", *lines]
    length = (
        [] if any(line.startswith("Content-Length") for line in lines) else [f"Content-Length: {len(body)}"]
    )
    return "\r\n".join([*head, *length, "", ""]).encode() + body


def _numbers(rng: Random) -> bytes:
    return posted([{"numbers": [rng.random() for _ in range(rng.choice((1, 8, 64, 500)))]}])


def _pieces(rng: Random) -> bytes:
    return posted([{"pieces": rng.choice((0, 1, 5, 20))}])


def _many_pieces(rng: Random) -> bytes:
    return posted([{"pieces": 20_000}])


def _always(request: bytes) -> Callable[[Random], bytes]:
    return lambda rng: request


_BAD = (
    Kind(
        "no JSON",
        3,
        _always(
            posted(b'{"instances": ['),
        ),
        400,
    ),
    Kind("a type we do not speak", 2, _always(posted([1], content_type="text/plain")), 415),
    Kind("no such route", 2, _always(asked("/models")), 404),
    Kind("too large", 1, _always(posted(b"", "Content-Length: 99999999", "Expect: 100-continue")), 413),
    Kind("refused by the handler", 3, _always(posted(["refuse"])), 400),
    Kind("the handler fails", 1, _always(posted(["fail"])), 500),
    Kind("ping", 3, _always(asked("/ping"))),
    Kind("metrics", 1, _always(asked("/metrics"))),
)
PLAIN = (
    Kind("good", 40, _numbers),
    Kind("good, on its own connection", 15, _numbers, fresh=True),
    Kind("left in its body", 4, _numbers, leaves=IN_BODY),
    Kind("left before its answer", 6, _numbers, leaves=BEFORE_ANSWER),
    *_BAD,
)
STREAMED = (
    Kind("streamed", 25, _pieces),
    Kind("streamed, on its own connection", 10, _pieces, fresh=True),
    Kind("left in its body", 3, _pieces, leaves=IN_BODY),
    Kind("left before its answer", 4, _pieces, leaves=BEFORE_ANSWER),
    Kind("left in its answer", 4, _many_pieces, leaves=IN_ANSWER),
    Kind("broken off by the handler", 1, _always(posted(["break"])), breaks=True),
    *_BAD,
)
