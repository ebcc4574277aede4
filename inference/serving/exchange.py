"""One request through decode, the handler and encode, to one reply. No sockets and no threads in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from inference.serving import codecs, log
from inference.serving.codecs import Body, Decoded, inputs
from inference.serving.codecs.media import Accepted, ContentType
from inference.serving.errors import BadBody, Refusal, escaped
from inference.serving.predictor import Phases, Predictor, describe, timed

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Request:
    """A whole body, what it is, and what its answer shall be."""

    body: Body
    content_type: ContentType
    accepted: Accepted


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; `headers` beside content type and length.

    Where it `streams`, the body is the first piece, and others follow.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    streams: bool = False


# A request to its reply, its phases added; it raises a Refusal.
Attempt = Callable[[Request, Phases], Reply]


def decoded(predictor: Predictor, request: Request) -> Decoded:
    """The instances of a request, in the form that is nearest to what the handler takes."""
    # What tells the length of an instance is told it of one as JSON has it.
    floats = inputs.floats(predictor.convert) if predictor.length is None else None
    return codecs.decode(request.body, request.content_type, floats)


def attempt(predictor: Predictor, request: Request, phases: Phases) -> Reply:
    """The answer to a request, its phases added to `phases`; a Refusal is raised."""
    with timed(phases, "decode"):
        found = decoded(predictor, request)
    return completed(predictor, request, found, phases)


def completed(predictor: Predictor, request: Request, decoded: Decoded, phases: Phases) -> Reply:
    """The same, where the request's instances are there already."""
    predictions = predictor.predictions(decoded.instances, phases)
    with timed(phases, "encode"):
        body = codecs.encode(predictions, decoded.shape, request.accepted.format)
    return Reply(200, request.accepted.name, body)


def answer(attempted: Attempt, request: Request, phases: Phases) -> Reply:
    """What the attempt answers, where a refusal is a reply too; what the handler raised goes to the log."""
    try:
        return attempted(request, phases)
    except Refusal as refusal:
        note(refusal)
        return refused(refusal)
    except BaseException as error:  # a SystemExit that is not caught ends the model's thread without a word
        return unexpected(error)


def refused(refusal: Refusal) -> Reply:
    """The reply for a refusal: {"error": {"code": word, "message": sentence}}."""
    body = orjson.dumps({"error": {"code": refusal.code, "message": message(refusal)}})
    return Reply(refusal.status, "application/json", body, refusal.headers)


def message(refusal: Refusal) -> str:
    """What a refusal says, on one line that is not too long and that JSON can hold."""
    text = escaped(str(refusal))
    if len(text) > _LONGEST_MESSAGE:
        text = text[:_LONGEST_MESSAGE] + "…"
    # It may hold what no JSON can: half a surrogate pair.
    return text.encode("utf-8", "replace").decode()


def unexpected(error: BaseException) -> Reply:
    """The reply for a mistake of ours, which the log gets whole."""
    log.failure(f"the runtime itself failed: {describe(error)}", error, indent="  ")
    return refused(Refusal("the runtime failed on this request; its log has the traceback"))


def note(refusal: Refusal) -> None:
    """Log what was refused for a reason that lies here or in the handler, and where in it."""
    cause = refusal.__cause__
    if cause is None and refusal.status < 500:
        return
    if isinstance(refusal, BadBody):
        log.event(f"400: {refusal} ({_origin(cause)})")
    else:
        log.failure(str(refusal), cause, indent="  ")


def _origin(error: BaseException | None) -> str:
    """Where in the handler an instance was found wrong: one line, for it may be the handler that is."""
    frames = error.__traceback__ if error else None
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    return f"{frames.tb_frame.f_code.co_filename} line {frames.tb_lineno}" if frames else "no place known"
