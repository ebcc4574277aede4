"""The soak finds what leaks and nothing else: its short form, with the same code and the same leaks."""

from collections import Counter
from random import Random

import pytest

from bench.soak import mixes
from bench.soak.__main__ import CONTROLS, OURS, Outcome, Subject, main
from bench.soak.callers import Tally
from bench.soak.levels import Sample, Trend, trend

SHORT = ("--minutes", "0.02", "--control-minutes", "0.02", "--warm-up", "2000")


@pytest.mark.timeout(240)
def test_memory_and_descriptors_stay_level_under_load_and_a_handler_that_leaks_is_found(capsys):
    """Row 32 of the faults, in seconds; the ten minutes are `python -m bench.soak`."""
    assert main(SHORT) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert told.count("level, as promised") == len(OURS)
    assert told.count("it grows, as promised") == len(CONTROLS)
    assert "every promise is kept" in told


def samples(bytes_per_request: float = 0, descriptors: float = 0, noise: float = 0) -> list[Sample]:
    """Looks at a server that grows by so much, with that much noise (bytes) upon it."""
    dice = Random(1)
    return [
        Sample(
            500 * number,
            int(70e6 + 500 * number * bytes_per_request + noise * dice.random()),
            int(64 + number * descriptors),
        )
        for number in range(30)
    ]


def test_noise_alone_is_level():
    assert trend(samples(noise=2e6)).level


def test_a_leak_of_a_kilobyte_a_request_is_found_through_the_noise():
    found = trend(samples(1024, noise=2e6))
    assert not found.level
    assert found.bytes_per_request == pytest.approx(1024, rel=0.2)


def test_a_descriptor_that_stays_open_now_and_then_is_found_and_those_that_come_and_go_are_not():
    assert not trend(samples(descriptors=0.5)).level
    swinging = [Sample(at.requests, at.memory, 64 + 10 * (at.requests % 1000 == 0)) for at in samples()]
    assert trend(swinging).level


@pytest.mark.parametrize("looks", [samples()[:5], [Sample(7, 1, 1)] * 10])
def test_what_says_nothing_is_an_error(looks):
    with pytest.raises(ValueError, match="samples"):
        trend(looks)


LEVEL, GROWING = Trend(3.0, 0), Trend(900.0, 0)


@pytest.mark.parametrize(
    ("leak", "found", "wrong", "kept"),
    [
        ("", LEVEL, {}, True),
        ("", GROWING, {}, False),
        ("", LEVEL, {"good: was answered 500; expected 200": 1}, False),
        ("memory", GROWING, {}, True),
        ("memory", LEVEL, {}, False),
    ],
)
def test_a_promise_is_level_where_it_should_be_a_leak_that_is_found_and_no_wrong_answer(
    leak, found, wrong, kept
):
    outcome = Outcome(Subject("plain", mixes.PLAIN, leak), samples(), Tally(wrong=Counter(wrong)), found)
    assert outcome.as_promised is kept
