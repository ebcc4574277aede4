"""Costs in words."""

from datetime import timedelta

import pytest

from deploy.money import alternatives, telling
from deploy.money.machines import Machines, Price
from deploy.money.quoting import Quote

LARGE = Machines("aws", "us-east-1", "hosting", "ml.m5.large")
TWO_TO_FIVE = Machines("aws", "us-east-1", "hosting", "ml.m5.large", 2, 5)
PRICE = Price(0.115, "2026-09-28", "a list")


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0, "$0.00"), (0.00002, "$0.00002"), (0.0770564, "$0.0771"), (0.5, "$0.5"), (1234.5, "$1,234.50")],
)
def test_dollars_have_the_digits_that_count(usd, told):
    assert telling.dollars(usd) == told


def test_what_runs_is_priced_by_the_hour_and_a_month_of_730_hours():
    assert telling.by_the_hour(Quote(LARGE, PRICE)) == (
        "$0.115 an hour, $83.95 a month (730 hours): 1 x ml.m5.large in us-east-1, busy or idle"
    )


def test_what_scales_is_priced_at_its_least_and_at_its_most():
    told = telling.by_the_hour(Quote(TWO_TO_FIVE, PRICE))
    assert told.startswith(
        "$0.23 an hour, $167.90 a month (730 hours), at most $0.575 an hour and $419.75 a month"
    )
    assert "2 to 5 x ml.m5.large" in told


@pytest.mark.parametrize("tell", [telling.by_the_hour, telling.of_a_job])
def test_without_a_price_none_is_said_and_the_reason_is(tell):
    told = tell(Quote(LARGE, None, "the table that ships has none"))
    assert told == "price unknown: 1 x ml.m5.large in us-east-1 (the table that ships has none)"


def test_a_job_costs_at_most_the_time_that_it_may_take():
    two = Machines("aws", "us-east-1", "training", "ml.m5.large", 2)
    assert telling.of_a_job(Quote(two, PRICE), 5400) == (
        "$0.23 an hour on 2 x ml.m5.large in us-east-1, $0.345 at most in the 1 h 30 min that it may take"
    )


def test_what_was_spent_is_age_times_price_times_machines_and_is_no_bill():
    told = telling.so_far(Quote(TWO_TO_FIVE, PRICE), timedelta(hours=100))
    assert told.startswith("about $23.00 so far, $0.23 an hour: an estimate by today's 2 to 5 x ml.m5.large")
    assert told.endswith("(a list, read 2026-09-28), not the bill")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (40, "40 s"), (3725, "1 h 2 min"), (90_061, "1 d 1 h"), (86_400, "1 d")]
)
def test_a_time_has_its_two_largest_units(seconds, told):
    assert telling.span(timedelta(seconds=seconds)) == told


def test_the_cheaper_ways_are_those_that_the_cloud_and_the_machine_have():
    def ways(kind, cloud="aws"):
        machines = Machines(cloud, "us-east-1", "hosting", kind)
        return " / ".join(alternatives.cheaper(Quote(machines, PRICE), None, None))

    assert "serverless" in ways("ml.m5.large")
    assert "serverless" not in ways("ml.g5.xlarge")  # it has no GPUs
    assert "scales to zero" in ways("ml.g5.xlarge")
    assert ways("n1-standard-2", "gcp") == (
        "batch-transform, where answers may wait: a machine is billed only while it scores"
    )


def test_a_smaller_type_is_named_with_its_price_or_with_none():
    smaller = Quote(LARGE, PRICE)
    assert alternatives.cheaper(Quote(TWO_TO_FIVE, PRICE), smaller, None)[-1] == (
        "ml.m5.large, if the model fits: $0.115 an hour each"
    )
    assert alternatives.cheaper(Quote(TWO_TO_FIVE, PRICE), Quote(LARGE, None, "why"), None)[-1].endswith(
        "price unknown"
    )
