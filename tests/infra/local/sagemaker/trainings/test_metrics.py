"""Metrics out of lines, by regular expression."""

import re
from collections.abc import Callable

import pytest

from infra.local.sagemaker.trainings import metrics


def values(*lines: str, said: Callable[[str], None] = print, **expressions: str) -> dict[str, float]:
    """The last value of each metric in the lines."""
    wanted = metrics.definitions({"Name": name, "Regex": regex} for name, regex in expressions.items())
    found: dict[str, metrics.Reading] = {}
    finder = metrics.Finder(wanted, found.update, said)
    for line in lines:
        finder.look(line)
    finder.close()
    return {name: one.value for name, one in found.items()}


def test_the_first_group_is_the_value_and_without_one_the_whole_match() -> None:
    assert values("a=1 b=-2.5e3", a="a=([0-9]+)", b="-[0-9.e]+") == {"a": 1.0, "b": -2500.0}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1,5", "", "x", "1_0x"])
def test_what_is_no_finite_number_is_no_value(text: str) -> None:
    assert values(f"loss={text};", loss="loss=([^;]*);") == {}


def test_a_group_that_did_not_take_part_is_no_value() -> None:
    assert values("b", a="(a)|b") == {}


def test_an_expression_that_takes_for_ever_is_given_up_and_the_others_are_not() -> None:
    """Python's expressions hold every thread of their process: here they would hold the local cloud."""
    said: list[str] = []
    lines = ("loss=3", "a" * 60 + "!", "loss=2\N{SNOWMAN}")
    assert values(*lines, said=said.append, slow="(a+)+$", loss="loss=([0-9]+)") == {"loss": 2.0}
    assert said == ["metric 'slow': its expression takes too long on a line, and is not looked for any more"]


def test_a_finder_that_has_ended_takes_lines_and_finds_nothing() -> None:
    finder = metrics.Finder((), print, print)
    finder.close()
    finder.look("loss=1")


@pytest.mark.parametrize(
    ("regex", "why"),
    [("*", "nothing to repeat at position 0"), ("a{99999999999}", "the repetition number is too large")],
)
def test_an_expression_that_is_none_is_refused_by_the_metrics_name(regex: str, why: str) -> None:
    message = re.escape(f"'loss': {regex!r} is no regular expression: {why}")
    with pytest.raises(ValueError, match=f"^{message}"):
        metrics.definitions([{"Name": "loss", "Regex": regex}])
