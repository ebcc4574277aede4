"""The words of ASGI that the local cloud uses, how a body is read, and how a whole answer is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from infra.local.errors import Answer

READ_OVER = 8  # times the limit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class CallerLeft(Exception):
    """The caller closed the connection before the request was whole, or before its answer was."""


def header(scope: Scope, name: bytes) -> str:
    """The request's header of that (lower-case) name, "" if it has none; several are joined with commas."""
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises CallerLeft."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def body_within(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None where it is over the limit. Raises CallerLeft.

    Of a body over the limit some is still read, never without end, so that the answer reaches the caller.
    """
    held: list[bytes] = []
    size = 0
    async for chunk in chunks(receive):
        size += len(chunk)
        if size > READ_OVER * limit:
            break
        if size <= limit:
            held.append(chunk)
        else:
            held.clear()
    if size > limit:
        return None
    return held[0] if len(held) == 1 else b"".join(held)


async def send_answer(send: Send, answer: Answer) -> None:
    """Sends the answer in one piece."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work that answers a request whose body was read, and stop it as soon as the caller has left.

    Raises CallerLeft then; otherwise what the work raises.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerLeft
        working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
