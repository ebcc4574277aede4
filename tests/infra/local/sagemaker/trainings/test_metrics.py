"""Metrics out of lines, by regular expression."""

import pytest

from infra.local.sagemaker.trainings import metrics


def values(line: str, **expressions: str) -> dict[str, float]:
    wanted = metrics.definitions({"Name": name, "Regex": regex} for name, regex in expressions.items())
    return {name: one.value for name, one in metrics.read(line, wanted).items()}


def test_the_first_group_is_the_value_and_without_one_the_whole_match() -> None:
    assert values("a=1 b=-2.5e3", a="a=([0-9]+)", b="-[0-9.e]+") == {"a": 1.0, "b": -2500.0}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1,5", "", "x", "1_0x"])
def test_what_is_no_finite_number_is_no_value(text: str) -> None:
    assert values(f"loss={text};", loss="loss=([^;]*);") == {}


def test_a_group_that_did_not_take_part_is_no_value() -> None:
    assert values("b", a="(a)|b") == {}


def test_an_expression_that_is_none_is_refused_by_the_metrics_name() -> None:
    with pytest.raises(ValueError, match=r"^'loss': '\*' is no regular expression: nothing to repeat"):
        metrics.definitions([{"Name": "loss", "Regex": "*"}])
