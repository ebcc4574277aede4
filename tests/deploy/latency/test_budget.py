"""A broken budget is named with its figure and with what helps; one that holds is not mentioned."""

import pytest

from deploy.latency import budget, shares
from deploy.latency.parts import FIRST, MEASURED, STREAM, WHOLE


@pytest.fixture
def rows(answer):
    """100 answers: predict takes 1 to 100 ms, everything else 1 ms."""
    others = {"queue": 1.0, "decode": 1.0, "preprocess": 1.0, "postprocess": 1.0, "encode": 1.0}
    return shares.rows([answer(6.0 + number, predict=float(number), **others) for number in range(1, 101)])


def test_a_budget_that_holds_at_p95_is_not_mentioned(rows):
    assert budget.broken(rows, {}) == []
    assert budget.broken(rows, {"predict": 95.0, "whole": 101.0, "network": 1.0}) == []


def test_a_broken_budget_is_told_with_its_figure_and_a_remedy(rows):
    (told,) = budget.broken(rows, {"queue": 2, "predict": 94.9})
    assert told.startswith(
        "deploy.toml: [latency] budget: predict took 95.00 ms at p95, expected at most 94.9: [serving] cache"
    )
    assert "a lighter model" in told


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        ("network", "nearer region"),
        ("queue", "workers"),
        ("decode", "application/x-npy"),
        ("preprocess", "computed ahead"),
        ("predict", "max_batch_size"),
        ("postprocess", "without a loop"),
        ("encode", "lighter output"),
    ],
)
def test_each_phase_has_a_remedy_of_its_own(rows, phase, word):
    (told,) = budget.broken(rows, {phase: 0.5})
    assert f"budget: {phase} took " in told
    assert word in told.partition("expected at most 0.5: ")[2]
    assert set(budget.REMEDIES) == set(MEASURED) - {WHOLE, FIRST}


def test_the_remedy_of_the_whole_is_that_of_what_takes_most_of_it(rows, answer):
    (told,) = budget.broken(rows, {"whole": 20})
    assert "whole took 101.00 ms at p95, expected at most 20: 94% of it is predict: " in told
    assert budget.REMEDIES["predict"] in told
    waiting = shares.rows([answer(100.0, queue=70.0, predict=20.0)])
    (told,) = budget.broken(waiting, {"whole": 20})
    assert "70% of it is queue: " in told and budget.REMEDIES["queue"] in told


def test_the_first_piece_and_those_after_it_have_budgets_of_their_own(rows, answer):
    streams = shares.rows([answer(100.0, first_ms=10.0, queue=1.0, predict=8.0)])
    first, rest, whole = budget.broken(streams, {FIRST: 9, STREAM: 80, WHOLE: 90})
    assert "first took 10.00 ms at p95, expected at most 9: most of it is predict: " in first
    assert "stream took 90.00 ms at p95, expected at most 80: fewer and larger pieces" in rest
    assert "90% of it is stream: fewer and larger pieces" in whole
    (told,) = budget.broken(rows, {FIRST: 5})
    assert told.endswith("first could not be held against anything, since no answer came in pieces")


def test_a_phase_that_nobody_told_cannot_hold_its_budget(answer):
    rows = shares.rows([answer(3.0)])
    assert budget.broken(rows, {"whole": 3, "predict": 100}) == [
        "deploy.toml: [latency] budget: predict could not be held against anything, "
        "since the endpoint told no phases"
    ]
    (told,) = budget.broken(rows, {"whole": 2})
    assert told.endswith("whole took 3.00 ms at p95, expected at most 2: " + budget.NOT_KNOWN)
