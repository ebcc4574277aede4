"""Answers as a target returns them, made of milliseconds."""

from collections.abc import Callable

import pytest

from deploy.latency.told import Told
from deploy.target import Answer


def answer(
    took_ms: float, batch: int = 1, retries: int = 0, first_ms: float | None = None, **phases: float
) -> Answer:
    """One whose container told these phases; without any it told nothing, with batch=0 it was a hit. With
    `first_ms` it came in pieces."""
    told = Told(phases, batch, hit=not batch) if phases or not batch else None
    return Answer(b"", "", took_ms, told, retries, first_ms)


@pytest.fixture(name="answer")
def make_answer() -> Callable[..., Answer]:
    return answer
