"""The user's samples, answered before the endpoint counts as healthy; they warm the model up as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inference.serving import exchange
from inference.serving.codecs.media import JSON, JSON_LINES, Accepted, ContentType
from inference.serving.errors import Refusal, StartError
from inference.serving.handlers import Call, OldHandler
from inference.serving.predictor import Predictor

FILE = "code/samples.jsonl"


def checked(handler: Predictor | OldHandler, model_dir: Path) -> str:
    """Have the handler answer the samples; what to say of it. StartError names the line that failed."""
    if not isinstance(handler, Predictor):
        return _check_old(handler, model_dir)
    return check(lambda sample: exchange.attempt(handler, sample, {}), model_dir)


def check(attempt: Callable[[exchange.Request], exchange.Reply], model_dir: Path) -> str:
    """Answer each line of code/samples.jsonl alone, then all as one batch, by the path that requests take.

    Returns what to say of it.

    StartError names the line that failed; its cause is the handler's exception.
    """
    path = model_dir / FILE
    if not path.is_file():
        return f"no {FILE}: ready means that the model is loaded, not that it answers"
    lines = path.read_bytes().rstrip(b"\r\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        _answer(attempt, line, f"{FILE} line {number}")
    _answer(attempt, b"\n".join(lines), f"{FILE}, all {len(lines)} lines as one batch")
    return f"{FILE}: {len(lines)} samples answered, one by one and as a batch"


def _check_old(handler: OldHandler, model_dir: Path) -> str:
    """Have each line answered as a request of JSON."""
    path = model_dir / FILE
    if not path.is_file():
        return f"no {FILE}: ready means that the model is loaded, not that it answers"
    lines = path.read_bytes().rstrip(b"\r\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        answer = handler.answer(Call(line, JSON))
        if answer.status != 200:
            said = answer.body[:500].decode("utf-8", "replace")
            raise StartError(f"{FILE} line {number}: answered {answer.status}: {said}") from answer.failure
    return f"{FILE}: {len(lines)} samples answered"


def _answer(attempt: Callable[[exchange.Request], exchange.Reply], body: bytes, place: str) -> None:
    request = exchange.Request(body, ContentType(JSON_LINES), Accepted(JSON_LINES, JSON_LINES))
    try:
        reply = attempt(request)
    except Refusal as refusal:
        raise StartError(f"{place}: {refusal}") from refusal.__cause__
    if not reply.body:
        raise StartError(f"{place}: holds no instance; expected one on every line")
