"""Metrics where moto keeps them, in an account of each test's own."""

import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from infra.local.cloudwatch import moto_metrics
from infra.local.cloudwatch.moto_metrics import Place
from infra.local.cloudwatch.samples import Gathered, Metric, statistic

METRIC = Metric("AWS/SageMaker", "Invocations", (("EndpointName", "e"), ("VariantName", "A")))
_accounts = itertools.count(100000000000)


@pytest.fixture
def place():
    return Place(str(next(_accounts)), "us-east-1")


def put(place, value, metric=METRIC):
    one = Gathered()
    one.add(value)
    moto_metrics.put(place, metric, "None", one)


def put_by_hand(place, value, ago_s):
    """As PutMetricData does."""
    dimensions = [{"Name": name, "Value": value} for name, value in METRIC.dimensions]
    moment = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=ago_s)
    datum = {"MetricName": METRIC.name, "Dimensions": dimensions, "Value": value, "Timestamp": moment}
    cloudwatch_backends[place.account][place.region].put_metric_data(METRIC.namespace, [datum])


def total(place, seconds, metric=METRIC):
    now = time.time() + 1
    found = moto_metrics.samples(place, metric, now - seconds, now)
    return statistic("Sum", [one.gathered for one in found])


def test_what_was_put_is_found_by_its_name_its_dimensions_and_its_place(place):
    put(place, 1)
    put(place, 2)
    put(place, 4, Metric(METRIC.namespace, "Errors", METRIC.dimensions))
    put(place, 8, Metric(METRIC.namespace, METRIC.name, METRIC.dimensions[:1]))
    put(Place(place.account, "eu-west-1"), 16)
    assert total(place, 60) == 3


def test_data_that_somebody_put_with_an_older_time_is_found_too(place):
    put(place, 1)
    put_by_hand(place, 2, ago_s=30)
    put_by_hand(place, 4, ago_s=300)
    put(place, 8)
    assert total(place, 60) == 11
    assert total(place, 600) == 15


def test_data_is_let_go_when_it_is_old(place):
    put_by_hand(place, 2, ago_s=30)
    put(place, 1)
    moto_metrics.let_go_of_what_is_older(20)
    assert total(place, 600) == 1


def test_an_alarm_of_no_such_name_has_no_state(place):
    assert moto_metrics.alarm_state(place, "nobody") is None
