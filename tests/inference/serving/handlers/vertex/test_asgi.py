"""Calls of a handler that speaks FastAPI's words, without Google's SDK around it."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from inference.serving.handlers import Call, standins
from inference.serving.handlers.vertex import web
from inference.serving.handlers.vertex.asgi import Loops


@pytest.fixture(autouse=True)
def fastapi(monkeypatch):
    """FastAPI is there, or what stands in for it, as where a Predictor is loaded."""
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    standins.offer("fastapi", web.MODULES)


class Echo:
    """Says which loop it runs in, and how many bodies came before."""

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def handle(self, request: object) -> int:
        self.loops.append(asyncio.get_running_loop())
        return len(self.loops)


def called(loops: Loops, handler: Echo) -> bytes:
    return loops.run(handler, Call(b"{}", "application/json", "")).body


def test_a_thread_s_calls_share_a_loop():
    loops, handler = Loops(), Echo()
    assert [called(loops, handler), called(loops, handler)] == [b"1", b"2"]
    assert handler.loops[0] is handler.loops[1]


def test_a_loop_is_closed_by_whoever_lets_go_of_it_last():
    """That may be the collector, in the middle of another loop."""
    held, handler = [Loops()], Echo()
    called(held[0], handler)

    async def let_go() -> None:
        held.clear()
        gc.collect()

    asyncio.run(let_go())
    assert handler.loops[0].is_closed()
