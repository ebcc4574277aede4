"""The user's samples, answered before the endpoint counts as healthy; they warm the model up as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inference.serving import exchange
from inference.serving.errors import Refusal, StartError
from inference.serving.media import JSON_LINES, Accepted, ContentType

FILE = "code/samples.jsonl"


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


def _answer(attempt: Callable[[exchange.Request], exchange.Reply], body: bytes, place: str) -> None:
    request = exchange.Request(body, ContentType(JSON_LINES), Accepted(JSON_LINES, JSON_LINES))
    try:
        reply = attempt(request)
    except Refusal as refusal:
        raise StartError(f"{place}: {refusal}") from refusal.__cause__
    if not reply.body:
        raise StartError(f"{place}: holds no instance; expected one on every line")
