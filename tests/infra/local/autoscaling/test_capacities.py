"""How many instances a scaling policy wants."""

import pytest

from infra.local.autoscaling.capacities import Bounds, stepped, tracked


@pytest.mark.parametrize(
    ("current", "value", "target", "is_high", "wanted"),
    [
        (1, 30.0, 10.0, True, 3),
        (2, 15.0, 10.0, True, 3),
        (2, 10.1, 10.0, True, 3),
        (3, 1.0, 10.0, False, 1),
        (3, 8.9, 10.0, False, 2),
        (2, 0.0, 10.0, False, 0),
        (0, 5.0, 10.0, True, 1),
    ],
)
def test_target_tracking_brings_the_metric_to_its_target_and_moves_at_least_by_one(
    current, value, target, is_high, wanted
):
    assert tracked(current, value, target, is_high) == wanted


def test_a_count_is_held_within_its_bounds():
    assert [Bounds(1, 3).hold(count) for count in (0, 2, 9)] == [1, 2, 3]


STEPS = [
    {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
    {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
]


@pytest.mark.parametrize(("over", "wanted"), [(0.0, 3), (9.9, 3), (10.0, 5), (-1.0, 2)])
def test_step_scaling_takes_the_step_in_whose_interval_the_metric_is(over, wanted):
    assert stepped(2, over, {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": STEPS}) == wanted


@pytest.mark.parametrize(
    ("kind", "by", "wanted"),
    [
        ("ExactCapacity", 7, 7),
        ("PercentChangeInCapacity", 50, 6),
        ("PercentChangeInCapacity", 10, 5),
        ("PercentChangeInCapacity", -50, 2),
    ],
)
def test_kinds_of_adjustment(kind, by, wanted):
    config = {"AdjustmentType": kind, "StepAdjustments": [{"ScalingAdjustment": by}]}
    assert stepped(4, 0.0, config) == wanted
