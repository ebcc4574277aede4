"""Answers that come piece by piece, from a handler whose predict is a generator.

Requests take turns, a piece each, so that a long answer does not hold up the others; one whose client reads
slowly is passed over until there is room. A request is answered in JSON Lines, a line for each piece, or as
server-sent events where it accepts those.
Sources: html.spec.whatwg.org/multipage/server-sent-events.html,
docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from inference.serving import codecs, exchange, log, media
from inference.serving.batcher import Job
from inference.serving.calls import Call
from inference.serving.endpoint import Endpoint
from inference.serving.errors import HandlerFailed, Refusal
from inference.serving.exchange import Reply
from inference.serving.media import EVENT_STREAM, JSON_LINES
from inference.serving.predictor import Predictor, describe, timed
from inference.serving.server import check_plain
from inference.serving.window import Window

_NONE_READY_S = 0.005
_ALONE = Window(0)


def answer_streams(endpoint: Endpoint, predictor: Predictor) -> None:
    """The model's thread: answer jobs until the batcher is closed, many at once."""
    streams: list[_Stream] = []
    while True:
        jobs = _next(endpoint, wait=not streams)
        if jobs is None:
            break
        streams += [stream for job in jobs if (stream := _begun(endpoint, predictor, job))]
        going = [stream for stream in streams if stream.going]
        moved = [stream.step() for stream in going if stream.has_room]
        streams = [stream for stream in going if stream.going]
        if streams and not moved:
            time.sleep(_NONE_READY_S)
    for stream in streams:
        stream.close()


def _next(endpoint: Endpoint, wait: bool) -> list[Job] | None:
    """The next job, if there is one; None at the end."""
    if wait:
        return endpoint.batcher.take(1, _ALONE)
    job = endpoint.batcher.next_now()
    return None if endpoint.batcher.closed else [job] if job else []


def _begun(endpoint: Endpoint, predictor: Predictor, job: Job) -> _Stream | None:
    """The job's stream, its first piece sent; None where it is answered already."""
    job.phases["queue"] = time.perf_counter() - job.queued
    stream = _Stream(endpoint, job)
    reply = stream.start(predictor)
    endpoint.slot.observe(job.phases)
    endpoint.slot.observe_batch(1)
    if reply is not None:
        endpoint.deliver([(job, reply)])
        return None
    return stream


class _Stream:
    """One job's generator."""

    def __init__(self, endpoint: Endpoint, job: Job) -> None:
        self.going = True
        self._endpoint, self._job = endpoint, job
        self._pieces: Iterator[Any] = iter(())
        self._kind = job.request.accepted.name

    @property
    def has_room(self) -> bool:
        """Whether the client has read most of what it got, or has gone."""
        call = self._job.call
        return call is None or self._job.gone or not call.paused

    def start(self, predictor: Predictor) -> Reply | None:
        """Send the head and the first piece, or return the reply that there is in their place."""
        try:
            first = self._first(predictor)
        except Refusal as refusal:
            exchange.note(refusal)
            return exchange.refused(refusal)
        except BaseException as error:
            return exchange.unexpected(error)
        self._endpoint.deliver([(self._job, Reply(200, self._kind, first, streams=True))])
        return None

    def step(self) -> bool:
        """Send the next piece, or the end."""
        if self._job.gone:
            self.close()
            return True
        self._endpoint.slot.since = time.monotonic()
        try:
            self._send(self._written(next(self._pieces)))
        except StopIteration:
            self.going = False
            self._send(b"")
        except BaseException as error:
            # The head is long gone: all that is left is to break off, which no client takes for an end.
            log.failure(f"predict raised {describe(error)} after its first piece", error, indent="  ")
            self.close()
            self._send(None)
        self._endpoint.slot.since = 0.0
        return True

    def close(self) -> None:
        """Let the generator clean up; what it raises then is for the log alone."""
        self.going = False
        try:
            self._pieces.close()  # type: ignore[attr-defined]  # of a generator
        except BaseException as error:
            log.failure(f"predict raised {describe(error)} when it was closed", error, indent="  ")

    def _first(self, predictor: Predictor) -> bytes:
        request, phases = self._job.request, self._job.phases
        with timed(phases, "decode"):
            decoded = codecs.decode(request.body, request.content_type)
        self._pieces = predictor.pieces(decoded.instances, phases)
        self._endpoint.slot.since = time.monotonic()
        try:
            with timed(phases, "predict"):
                piece = next(self._pieces)
        except StopIteration:
            return b""
        except Refusal:
            raise
        except BaseException as error:
            raise HandlerFailed(f"predict raised {describe(error)}") from error
        finally:
            self._endpoint.slot.since = 0.0
        return self._written(piece)

    def _written(self, piece: Any) -> bytes:
        line = codecs.encode_lines([piece], JSON_LINES)
        return b"data: " + line + b"\n" if self._kind == EVENT_STREAM else line

    def _send(self, piece: bytes | None) -> None:
        self._endpoint.feed(self._job, piece)


def asked(call: Call) -> exchange.Request:
    """The request of a call that wants a stream, by its Content-Type and Accept. It raises a Refusal."""
    check_plain(call)
    content_type = media.content_type(call.header(b"content-type"))
    return exchange.Request(call.body, content_type, _accepted(call.header(b"accept")))


def _accepted(value: str) -> media.Accepted:
    if EVENT_STREAM in value.lower():
        return media.Accepted(JSON_LINES, EVENT_STREAM)
    found = media.accepted(value, JSON_LINES)
    if found.format not in (JSON_LINES, media.JSON):
        raise media.not_acceptable(value, f"{JSON_LINES}, {EVENT_STREAM}")
    return media.Accepted(JSON_LINES, found.name if found.format == JSON_LINES else JSON_LINES)
