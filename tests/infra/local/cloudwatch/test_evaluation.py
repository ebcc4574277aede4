"""Which state an alarm has, by its last datapoints: the tables of the user guide."""

import pytest

from infra.local.cloudwatch.evaluation import FURTHER, Point, Rule, judge

# Source: Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data": 3 of 3.
THREE_OF_THREE = {
    "0-X-X": ("OK", "OK", "OK", "OK"),
    "0----": ("OK", "OK", "OK", "OK"),
    "-----": ("INSUFFICIENT_DATA", "now", "ALARM", "OK"),
    "0XX-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "--X--": ("ALARM", "now", "ALARM", "OK"),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
CASES = [
    (points, treatment, state)
    for points, states in THREE_OF_THREE.items()
    for treatment, state in zip(TREATMENTS, states, strict=True)
]
VALUES = {"0": 0.0, "X": 1.0, "-": None}


def state_of(points, rule, now="OK"):
    verdict = judge(rule, [Point(60.0 * n, VALUES[one]) for n, one in enumerate(points)], now)
    return verdict.state if verdict else now


@pytest.mark.parametrize(("points", "treatment", "state"), CASES)
@pytest.mark.parametrize("now", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_missing_data_is_treated_as_the_guide_s_table_says(points, treatment, state, now):
    assert len(points) == 3 + FURTHER
    rule = Rule("GreaterThanThreshold", 0.5, periods=3, needed=3, missing=treatment)
    assert state_of(points, rule, now) == (now if state == "now" else state)


@pytest.mark.parametrize(("points", "state"), [("--XX0", "ALARM"), ("--X00", "OK"), ("--X0X", "ALARM")])
def test_so_many_of_the_periods_are_enough(points, state):
    assert state_of(points, Rule("GreaterThanThreshold", 0.5, periods=3, needed=2), "OK") == state


@pytest.mark.parametrize(
    ("comparison", "threshold", "state"),
    [
        ("GreaterThanThreshold", 1.0, "OK"),
        ("GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("LessThanThreshold", 1.0, "OK"),
        ("LessThanOrEqualToThreshold", 1.0, "ALARM"),
        ("LessThanThreshold", 1.1, "ALARM"),
    ],
)
def test_the_threshold_itself_breaches_where_the_comparison_says_so(comparison, threshold, state):
    assert state_of("--X", Rule(comparison, threshold, 1, 1), "INSUFFICIENT_DATA") == state


def test_a_verdict_says_why():
    rule = Rule("GreaterThanThreshold", 0.5, 1, 1)
    crossed = judge(rule, [Point(0.0, 1.0)], "OK")
    assert crossed.reason == (
        "Threshold Crossed: 1 datapoint [1.0 (01/01/70 00:00:00)] was greater than the threshold (0.5)."
    )
    calm = judge(rule, [Point(0.0, 0.0)], "ALARM")
    assert "was not greater than the threshold (0.5)" in calm.reason
    assert judge(rule, [Point(0.0, None)], "OK").reason == "Insufficient Data: 1 datapoint was unknown."
    assert judge(rule, [Point(0.0, 1.0)], "ALARM") is None
