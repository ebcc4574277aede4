"""How many replicas a deployed model shall have: Google's own examples, the window, the bounds."""

import pytest

from infra.local.autoscaling.capacities import Bounds
from infra.local.vertex import replicacounts
from infra.local.vertex.replicacounts import CPU, Sample, Target

DUTY_CYCLE = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"


@pytest.mark.parametrize(
    ("shares", "count"), [([1.0, 1.0], 4), ([0.01] * 10, 1), ([0.6] * 3, 3), ([0.9, 0.0], 2), ([0.0], 0)]
)
def test_the_work_is_shared_so_that_each_is_at_the_target(shares, count):
    """The first two are those of the page on autoscaling."""
    assert replicacounts.wanted(shares, 0.6) == count


@pytest.mark.parametrize(
    ("specs", "target"),
    [
        ([], 0.6),
        ([{"metricName": CPU, "target": 80}], 0.8),
        ([{"metricName": CPU}], 0.6),
        ([{"metricName": DUTY_CYCLE, "target": 10}], 0.6),
    ],
)
def test_the_target_is_sixty_percent_of_the_cpu_where_no_other_is_given(specs, target):
    assert replicacounts.cpu_target({"autoscalingMetricSpecs": specs}) == target


def test_the_highest_target_of_the_window_counts_and_the_bounds_hold_it():
    targets = (Target(0.0, 9), Target(10.0, 3), Target(20.0, 1))
    recent = replicacounts.within(targets, 10.0)
    assert [one.count for one in recent] == [3, 1]
    decided = [replicacounts.decided(recent, Bounds(*pair), 2) for pair in ((1, 5), (1, 2), (4, 5))]
    assert decided == [3, 2, 4]
    assert replicacounts.decided((), Bounds(1, 5), 2) == 2, "nothing was measured: nothing changes"


def test_a_replica_s_utilisation_is_its_cpu_time_over_time_and_cores():
    before = {"a": Sample(1, 10.0, 5.0), "b": Sample(2, 10.0, 0.0), "restarted": Sample(3, 10.0, 9.0)}
    now = {"a": Sample(1, 14.0, 9.0), "b": Sample(2, 14.0, 99.0), "restarted": Sample(4, 14.0, 1.0)}
    now["new"] = Sample(5, 14.0, 1.0)
    assert replicacounts.utilisations(before, now, 2) == [0.5, 1.0]
