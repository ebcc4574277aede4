"""Answers that come piece by piece, from a handler whose predict is a generator.

Requests take turns, a piece each, so that a long answer does not hold up the others; one whose client reads
slowly is passed over until there is room. A request is answered in JSON Lines, a line for each piece, or as
server-sent events where it accepts those. Who needs one JSON document gets the pieces together: who accepts
JSON, and who asks in Vertex AI's envelope, {"instances": [...]}, and is owed {"predictions": [...]}, unless
one of the other two is accepted by name.

A stream's phases are those until its first piece: its head goes out with it, and tells no more.
Sources: html.spec.whatwg.org/multipage/server-sent-events.html,
docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html,
cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from inference.serving import codecs, exchange, log
from inference.serving.codecs import Shape, media
from inference.serving.codecs.media import EVENT_STREAM, JSON, JSON_LINES
from inference.serving.errors import Refusal
from inference.serving.exchange import Reply
from inference.serving.http.calls import Call
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.window import Window
from inference.serving.online.endpoint import Endpoint
from inference.serving.online.server import check_plain
from inference.serving.predictor import Predictor, describe, failed, timed

_NONE_READY_S = 0.005
# Bytes of one stream that may be on their way to the event loop. Without a bound a handler that never lets go
# of the interpreter makes all of its answer before a byte of it goes out.
_MOST_AHEAD = 64 * 1024
_ALONE = Window(0)
# What is accepted where the form is left to us: a whole answer may take its place.
_EITHER = media.Accepted(JSON_LINES, "")


def answer_streams(endpoint: Endpoint, predictor: Predictor) -> None:
    """The model's thread: answer jobs until the batcher is closed, many at once."""
    turns: list[_Stream | _Whole] = []
    while True:
        jobs = _next(endpoint, wait=not turns)
        if jobs is None:
            break
        turns += [turn for job in jobs if (turn := _begun(endpoint, predictor, job))]
        going = [turn for turn in turns if turn.going]
        moved = [turn.step() for turn in going if turn.has_room]
        turns = [turn for turn in going if turn.going]
        if turns and not moved:
            time.sleep(_NONE_READY_S)
    for turn in turns:
        turn.close()


def _next(endpoint: Endpoint, wait: bool) -> list[Job] | None:
    """The next job, if there is one; None at the end."""
    if wait:
        return endpoint.batcher.take(1, _ALONE)
    job = endpoint.batcher.next_now()
    return None if endpoint.batcher.closed else [job] if job else []


def _begun(endpoint: Endpoint, predictor: Predictor, job: Job) -> _Stream | _Whole | None:
    """The job's turns, its first piece sent where it streams; None where it is answered already."""
    job.phases["queue"] = time.perf_counter() - job.queued
    endpoint.slot.observe_batch(1)
    try:
        with timed(job.phases, "decode"):
            decoded = codecs.decode(job.request.body, job.request.content_type)
        if _is_whole(job.request.accepted, decoded.shape):
            return _Whole(endpoint, job, predictor.gathered(decoded.instances, job.phases), decoded.shape)
        stream = _Stream(endpoint, job, predictor.pieces(decoded.instances, job.phases))
        stream.start()
        return stream
    except BaseException as error:
        _end(endpoint, job, _refused(error))
        return None


def _is_whole(accepted: media.Accepted, shape: Shape) -> bool:
    return accepted.format == JSON or (accepted == _EITHER and shape is Shape.ENVELOPE)


def _refused(error: BaseException) -> Reply:
    if isinstance(error, Refusal):
        exchange.note(error)
        return exchange.refused(error)
    return exchange.unexpected(error)


def _end(endpoint: Endpoint, job: Job, reply: Reply) -> None:
    endpoint.slot.observe(job.phases)
    endpoint.deliver([(job, reply)])


class _Whole:
    """One job's generator, answered when it has ended."""

    has_room = True  # nothing goes out before

    def __init__(
        self, endpoint: Endpoint, job: Job, gathering: Generator[None, None, list[Any]], shape: Shape
    ) -> None:
        self.going = True
        self._endpoint, self._job, self._gathering, self._shape = endpoint, job, gathering, shape

    def step(self) -> bool:
        """Have one more piece made; answer after the last."""
        if self._job.gone:
            self.close()
            return True
        self._endpoint.slot.since = time.monotonic()
        reply = self._moved()
        self._endpoint.slot.since = 0.0
        if reply is not None:
            self.going = False
            _end(self._endpoint, self._job, reply)
        return True

    def close(self) -> None:
        """Let the generator clean up; what it raises then is for the log alone."""
        self.going = False
        _close(self._gathering)

    def _moved(self) -> Reply | None:
        """The reply, None where there are pieces yet to come."""
        try:
            next(self._gathering)
            return None
        except StopIteration as end:
            return self._encoded(end.value)
        except BaseException as error:
            return _refused(error)

    def _encoded(self, predictions: list[Any]) -> Reply:
        try:
            with timed(self._job.phases, "encode"):
                return Reply(200, JSON, codecs.encode(predictions, self._shape, JSON))
        except BaseException as error:
            return _refused(error)


class _Stream:
    """One job's generator, whose pieces go out as they are made."""

    def __init__(self, endpoint: Endpoint, job: Job, pieces: Generator[Any, None, None]) -> None:
        self.going = True
        self._endpoint, self._job, self._pieces = endpoint, job, pieces
        self._kind = job.request.accepted.name or JSON_LINES
        self._sent = 0

    @property
    def has_room(self) -> bool:
        """Whether what was made has gone out and the client has read most of it, or has gone."""
        call = self._job.call
        if call is None or self._job.gone:
            return True
        return not call.paused and self._sent - call.fed <= _MOST_AHEAD

    def start(self) -> None:
        """Send the head and the first piece. A Refusal is raised where there is none."""
        first = self._first()
        _end(self._endpoint, self._job, Reply(200, self._kind, first, streams=True))

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
        _close(self._pieces)

    def _first(self) -> bytes:
        self._endpoint.slot.since = time.monotonic()
        try:
            with timed(self._job.phases, "predict"):
                piece = next(self._pieces)
        except StopIteration:
            return b""
        except BaseException as error:
            raise failed("predict", error) from error
        finally:
            self._endpoint.slot.since = 0.0
        with timed(self._job.phases, "encode"):
            return self._written(piece)

    def _written(self, piece: Any) -> bytes:
        line = codecs.encode_lines([piece], JSON_LINES)
        return b"data: " + line + b"\n" if self._kind == EVENT_STREAM else line

    def _send(self, piece: bytes | None) -> None:
        self._sent += len(piece or b"")
        self._endpoint.feed(self._job, piece)


def _close(generator: Generator[Any, Any, Any]) -> None:
    try:
        generator.close()
    except BaseException as error:
        log.failure(f"predict raised {describe(error)} when it was closed", error, indent="  ")


def asked(call: Call) -> exchange.Request:
    """The request of a call to a handler that streams, by its headers. It raises a Refusal."""
    check_plain(call)
    content_type = media.content_type(call.header(b"content-type"))
    return exchange.Request(call.body, content_type, _accepted(call.header(b"accept")))


def _accepted(value: str) -> media.Accepted:
    if EVENT_STREAM in value.lower():
        return media.Accepted(JSON_LINES, EVENT_STREAM)
    found = media.accepted(value, JSON_LINES)
    if found.format not in (JSON_LINES, JSON):
        raise media.not_acceptable(value, f"{JSON_LINES}, {EVENT_STREAM}, {JSON}")
    return found if found.name in value.lower() else _EITHER
