"""One call of a handler that speaks FastAPI's words, as Google's CprModelServer makes it, to one Answer.

The response is run as the ASGI application that it is, so FastAPI's own and what stands in for it are one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import weakref
from dataclasses import dataclass, field
from threading import Thread, local
from typing import Any

from inference.serving.handlers import Answer, Call

_JSON = "application/json"
_OF_THE_SERVER = {"content-type", "content-length"}
_NO_BODY = {204, 304}


class Loops:
    """An event loop for each thread that answers, the same from call to call: a handler may hold on to it."""

    def __init__(self) -> None:
        self._of_thread = local()

    def run(self, handler: Any, call: Call) -> Answer:
        """The handler's answer to this call; what it raises is an answer too."""
        runner = getattr(self._of_thread, "runner", None)
        if runner is None:
            self._of_thread.runner = runner = asyncio.Runner()
            weakref.finalize(self, _close, runner).atexit = False
        try:
            answer: Answer = runner.run(_answer(handler, call))
        except BaseException as error:  # sys.exit() in a handler fails its request, not the server
            return _raised(error)
        return answer


def _close(runner: asyncio.Runner) -> None:
    """In a thread of its own: in the one that let go of the last reference a loop may be running."""
    closing = Thread(target=runner.close)
    closing.start()
    closing.join()


@dataclass
class _Sent:
    """What an ASGI application sent."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = ((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in message["headers"])
            self.headers.update(pairs)
        else:
            self.pieces.append(message.get("body", b""))

    def answer(self) -> Answer:
        kept = {name: value for name, value in self.headers.items() if name not in _OF_THE_SERVER}
        kind = self.headers.get("content-type", "")
        return Answer(self.status, b"".join(self.pieces), kind, kept)


async def _answer(handler: Any, call: Call) -> Answer:
    fastapi: Any = importlib.import_module("fastapi")
    scope, receive = _scope(call), _receiving(call.body)
    try:
        returned = await handler.handle(fastapi.Request(scope, receive))
    except fastapi.HTTPException as error:
        return _stated(error)
    if not isinstance(returned, fastapi.Response):
        return Answer(200, _json(_plain(returned)), _JSON)
    sent = _Sent()
    await returned(scope, receive, sent.send)
    return sent.answer()


def _scope(call: Call) -> dict[str, Any]:
    named = {"content-type": call.content_type, "accept": call.accept, **call.headers}
    pairs = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in named.items() if v]
    headers = [*pairs, (b"content-length", b"%d" % len(call.body))]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }


def _receiving(body: bytes) -> Any:
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()  # a client that stays: whoever waits for its leaving is cancelled
        return left.pop()

    return receive


def _raised(error: BaseException) -> Answer:
    """Google's server says in a 500 what was raised."""
    text = f"An exception {type(error).__name__} occurred. Arguments: {error.args}."
    return _detailed(500, text, {}, error)


def _stated(error: Any) -> Answer:
    cause = error.__cause__ if error.status_code >= 500 else None
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code < 200 or error.status_code in _NO_BODY:
        return Answer(error.status_code, b"", "", headers, cause)
    return _detailed(error.status_code, error.detail, headers, cause)


def _detailed(status: int, detail: Any, headers: dict[str, str], failure: BaseException | None) -> Answer:
    try:
        return Answer(status, _json({"detail": detail}), _JSON, headers, failure)
    except (TypeError, ValueError):  # text that is no UTF-8, a detail that is no JSON
        return Answer(500, b"Internal Server Error", "text/plain; charset=utf-8", {}, failure)


def _plain(value: Any) -> Any:
    """What FastAPI makes of a result that is no response, as far as it is made of plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")
