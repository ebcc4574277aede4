"""Answers kept for requests that come again: the same body, read and answered in the same forms.

It lives on the event loop, so a hit waits for nobody. Errors are never kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b

from inference.serving.exchange import Reply, Request
from inference.serving.handlers import Call

# An answer above this is not kept: a few of them would fill the memory.
LARGEST = 1024 * 1024
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"  # a handler of SageMaker's may read them


def key(request: Request | Call) -> Hashable:
    """What the answer depends on. Of the body its digest: a key must not keep what a client has sent."""
    digest = blake2b(request.body, digest_size=24).digest()
    if isinstance(request, Request):
        return request.content_type, request.accepted, digest
    return request.content_type, request.accept, request.headers.get(_ATTRIBUTES, ""), digest


def may_be_kept(reply: Reply) -> bool:
    """Whether a reply is a whole answer, of which a stream's is but the first piece, and not too large."""
    return reply.status == 200 and not reply.streams and len(reply.body) <= LARGEST


class Cache:
    """The answers to the `most` requests that were asked last; their bodies take at most `most_bytes`."""

    def __init__(self, most: int, most_bytes: int = 256 * 1024 * 1024) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[Hashable, Reply] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> Reply | None:
        """The answer that was kept, None where there is none."""
        reply = self._kept.get(key)
        if reply is not None:
            self._kept.move_to_end(key)
        return reply

    def keep(self, key: Hashable, reply: Reply) -> None:
        """Keep an answer in the place of those that were not asked for the longest time."""
        if not may_be_kept(reply) or len(reply.body) > self._most_bytes or key in self._kept:
            return
        self._kept[key] = reply
        self._bytes += len(reply.body)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.body)
