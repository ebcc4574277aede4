"""What a job's lines tell besides themselves."""

import pytest

from deploy.training import following

WANTED = {"loss": "loss=([0-9.e-]+)", "test mae": r"mae: (\S+)"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("epoch 3 loss=0.25", {"loss": 0.25}),
        ("loss=1e-3 mae: 7", {"loss": 0.001, "test mae": 7}),
        ("loss=2 then loss=1", {"loss": 1}),
        ("mae: none", {}),
        ("loss=..", {}),
        ("nothing", {}),
    ],
)
def test_a_line_s_metrics_are_the_last_numbers_that_the_expressions_find(line, found):
    assert following.metrics(WANTED, line) == found


def test_metrics_are_told_in_a_few_words():
    assert following.told({"loss": 0.25, "test mae": 7.0}) == "  loss 0.25  test mae 7"
    assert following.told({}) == ""
