"""Answers that several servers keep together, in a Redis. It is a help and never a need: where it is slow,
gone, full or holds what is not ours, requests go on as without it, within the time limit of one look.

An entry's key has the archive's digest in it, so that a new version never answers with the old one's answers,
and its value a digest of key and content: what was not written by us, or not for this key, is no answer.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Hashable
from hashlib import blake2b
from pathlib import Path

from inference.serving import log
from inference.serving.cache_url import URL
from inference.serving.caching import cache
from inference.serving.caching.link import Answer, Failure, Link
from inference.serving.counting.board import Slot
from inference.serving.errors import StartError
from inference.serving.exchange import Reply
from inference.serving.model import manifest
from inference.serving.settings import Sharing

# How long a look may take; and once more, for the loop itself may have stood still while the reply lay there:
# timers come first in its turn, replies after them.
_LIMIT_S, _GRACE_S = 0.025, 0.002
_MOST_LOOKS = 1000
_WRITE_PAUSE_S = 5.0
_LOG_EVERY_S = 60.0
_FORMAT = b"SLW1"
_SIZES = struct.Struct("!HHI")  # of content type, headers and body
_PAIR = struct.Struct("!HH")  # of a header's name and value
_DIGEST = 16
_START = len(_FORMAT) + _DIGEST + _SIZES.size
_LARGEST = _START + cache.LARGEST + 2 * 0xFFFF

Then = Callable[[Reply | None], None]


def version(model_dir: Path, deployment: str) -> bytes:
    """What tells one model's answers from another's: 16 bytes. StartError where its archive has no digest."""
    archive = manifest.digest(model_dir)
    if archive is None:
        raise StartError(
            f"{URL}: {manifest.NAME} is not in {model_dir}, and without its digest another version's answers "
            f"would be given; package the model, or unset {URL}"
        )
    return blake2b(f"{archive}\n{deployment}".encode(), digest_size=16).digest()


def entry(version: bytes, key: Hashable) -> bytes:
    """The name of an entry: of a version, and of cache.key's key, which reads the same in every process."""
    digest = blake2b(repr(key).encode(), digest_size=24, key=version).hexdigest()
    return f"slipway:{version.hex()}:{digest}".encode()


def packed(name: bytes, reply: Reply) -> bytes:
    """A reply as an entry's value."""
    kind = reply.content_type.encode("latin-1")
    headers = b"".join(_PAIR.pack(len(key), len(value)) + key + value for key, value in reply.headers)
    content = _SIZES.pack(len(kind), len(headers), len(reply.body)) + kind + headers + reply.body
    return _FORMAT + _seal(name, content) + content


def unpacked(name: bytes, value: bytes) -> Reply | None:
    """The reply in a value; None where it is not one that `packed` wrote under that name."""
    content = value[len(_FORMAT) + _DIGEST :]
    if len(value) < _START or value[: len(_FORMAT)] != _FORMAT:
        return None
    if value[len(_FORMAT) : len(_FORMAT) + _DIGEST] != _seal(name, content):
        return None
    kind, headers, body = _SIZES.unpack_from(content)
    at = _SIZES.size
    if len(content) != at + kind + headers + body:
        return None
    pairs = _pairs(content[at + kind : at + kind + headers])
    return Reply(200, content[at : at + kind].decode("latin-1"), content[at + kind + headers :], pairs)


def _seal(name: bytes, content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST, key=blake2b(name).digest()).digest()


def _pairs(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    found, at = [], 0
    while at < len(text):
        name, value = _PAIR.unpack_from(text, at)
        at += _PAIR.size
        found.append((text[at : at + name], text[at + name : at + name + value]))
        at += name + value
    return tuple(found)


class SharedCache:
    """The answers of one version of a model. All of it runs on the event loop and never waits."""

    def __init__(self, sharing: Sharing, version: bytes, slot: Slot) -> None:
        self._where, self._version, self._slot = sharing.address.shown, version, slot
        self._ttl_s = sharing.ttl_s
        self._loop = asyncio.get_running_loop()
        self._looks = 0
        self._no_writes_until = 0.0
        self._down = False
        self._quiet_until = 0.0
        self._link = Link(sharing.address, self._changed)

    def find(self, key: Hashable, then: Then) -> bool:
        """Look for an answer; `then` gets it later, or None, within the time limit. False where it cannot be
        looked for now: `then` then hears nothing."""
        if not self._link.up or self._looks >= _MOST_LOOKS:
            self._slot.shared_failures += 1
            return False
        self._looks += 1
        look = _Look(self, entry(self._version, key), then)
        # Not GET: of a value that is none of ours, and huge, no more comes than of our own.
        self._link.ask(look.answered, "GETRANGE", look.name, 0, _LARGEST - 1)
        return True

    def keep(self, key: Hashable, reply: Reply) -> None:
        """Have an answer kept, if it is one that may be."""
        if not cache.may_be_kept(reply):
            return
        if not self._link.up or self._loop.time() < self._no_writes_until:
            self._slot.shared_unkept += 1
            return
        name = entry(self._version, key)
        self._link.ask(self._written, "SET", name, packed(name, reply), "EX", self._ttl_s)

    def heard(self, name: bytes, answer: Answer) -> Reply | None:
        """What an answer of Redis to a look at `name` holds."""
        self._looks -= 1
        if isinstance(answer, Failure):
            self._slot.shared_failures += 1
            if not answer.lost and not answer.reason.startswith("WRONGTYPE"):
                self._link.fail(f"it answered {answer.reason}")
            return None
        self._link.proved()
        reply = unpacked(name, answer) if isinstance(answer, bytes) else None
        if reply is None:
            self._slot.shared_misses += 1
        else:
            self._slot.shared_hits += 1
        return reply

    def late(self) -> None:
        """Hear that a look was not answered in time: who else waits is not to wait as long."""
        self._link.fail(f"no answer in {_LIMIT_S * 1000:.0f} ms")

    def _written(self, answer: Answer) -> None:
        if isinstance(answer, Failure):
            self._slot.shared_unkept += 1
            if not answer.lost:  # full, or a replica: it may still be read
                self._no_writes_until = self._loop.time() + _WRITE_PAUSE_S
                self._tell(f"nothing is kept there: it answered {answer.reason}")

    def _changed(self, reason: str) -> None:
        if reason:
            self._down = True
            self._tell(f"{reason}; requests go on without it")
        elif self._down:
            self._down = False
            log.event(f"shared cache {self._where}: it answers again")
        else:
            log.event(f"shared cache {self._where}: connected")

    def _tell(self, reason: str) -> None:
        # One that comes and goes must not fill the log.
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + _LOG_EVERY_S
            log.failure(f"shared cache {self._where}: {reason}")


class _Look:
    """One look for an answer, which ends once: by a reply, or by the time limit."""

    __slots__ = ("_cache", "_then", "_timer", "name")

    def __init__(self, shared: SharedCache, name: bytes, then: Then) -> None:
        self.name = name
        self._cache, self._then = shared, then
        self._timer = asyncio.get_running_loop().call_later(_LIMIT_S, self._wait_once_more)

    def answered(self, answer: Answer) -> None:
        self._timer.cancel()
        self._then(self._cache.heard(self.name, answer))

    def _wait_once_more(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_GRACE_S, self._cache.late)
