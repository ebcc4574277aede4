"""CloudWatch's statistics of what was gathered."""

import pytest

from infra.local.cloudwatch.samples import Gathered, Metric, statistic


def gathered(*values):
    one = Gathered()
    for value in values:
        one.add(value)
    return one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SampleCount", 4),
        ("Sum", 10),
        ("Average", 2.5),
        ("Minimum", 1),
        ("Maximum", 4),
        ("p50", 2),
        ("p99", 4),
        ("p0", 1),
        ("p100", 4),
        ("tm99", None),
    ],
)
def test_statistics_are_of_all_parts_together(name, value):
    assert statistic(name, [gathered(4, 1), gathered(2, 3)]) == value


def test_without_data_there_is_no_statistic():
    assert statistic("Sum", []) is None
    assert statistic("p99", [Gathered(2, 3.0, 1.0, 2.0)]) is None  # sums alone


def test_the_dimensions_order_says_nothing_and_one_more_is_another_metric():
    one = Metric("AWS/SageMaker", "Invocations", (("EndpointName", "e"), ("VariantName", "A")))
    turned = Metric("AWS/SageMaker", "Invocations", one.dimensions[::-1])
    larger = Metric("AWS/SageMaker", "Invocations", (*one.dimensions, ("EndpointConfigName", "c")))
    assert one.is_same(turned)
    assert not one.is_same(larger)
