"""What endpoints tell CloudWatch, and alarms on it, as boto3 sees them. A minute is 0.6 s here."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError


def dimensions(name, **more):
    return [
        {"Name": key, "Value": value}
        for key, value in {"EndpointName": name, "VariantName": "A", **more}.items()
    ]


def statistics(cloud, metric, where, *names):
    now = datetime.now(UTC)
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=where,
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=list(names),
    )["Datapoints"]
    return found[0] if found else dict.fromkeys(names)


def put_alarm(cloud, **given):
    name = cloud.name("alarm")
    whole = {
        "AlarmName": name,
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **({} if "ExtendedStatistic" in given else {"Statistic": "Sum"}),
        **given,
    }
    cloud.client("cloudwatch").put_metric_alarm(**whole)
    return name


def described(cloud, name):
    return cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def becomes(cloud, name, state):
    return cloud.until(lambda: (one := described(cloud, name))["StateValue"] == state and one)


@pytest.fixture(scope="module")
def measured(cloud):
    """An endpoint that was called seven times, and its configuration."""
    config = cloud.config(cloud.model(), InitialInstanceCount=2)
    name = cloud.endpoint(config)
    for status in (200, 200, 200, 400, 404, 500, 503):
        if status == 200:
            cloud.invoke(name, {"sleep": 0.05})
        else:
            with pytest.raises(ClientError):
                cloud.invoke(name, {"status": status})
    cloud.until(lambda: statistics(cloud, "Invocations", dimensions(name), "Sum")["Sum"] == 7)
    return name, config


@pytest.mark.parametrize(
    ("metric", "total"),
    [
        ("Invocations", 7),
        ("InvocationsPerInstance", 3.5),
        ("Invocation4XXErrors", 2),
        ("Invocation5XXErrors", 2),
        ("InvocationModelErrors", 4),
    ],
)
def test_every_invocation_is_counted_and_errors_are_rates(cloud, measured, metric, total):
    name, config = measured
    for where in (dimensions(name), dimensions(name, EndpointConfigName=config)):
        found = statistics(cloud, metric, where, "Sum", "SampleCount", "Average")
        assert (found["Sum"], found["SampleCount"]) == (total, 7)
        assert found["Average"] == pytest.approx(total / 7)


def test_the_model_s_latency_is_in_microseconds_and_apart_from_the_overhead(cloud, measured):
    name, _ = measured
    model = statistics(cloud, "ModelLatency", dimensions(name), "Maximum", "SampleCount")
    overhead = statistics(cloud, "OverheadLatency", dimensions(name), "Minimum")
    assert model["SampleCount"] == 7
    assert model["Maximum"] >= 50_000
    assert 0 <= overhead["Minimum"] < model["Maximum"]


def test_a_container_that_does_not_answer_is_a_model_error_and_no_5xx(cloud):
    name = cloud.served()
    with pytest.raises(ClientError):
        cloud.invoke(name, {"die": True})
    cloud.until(lambda: statistics(cloud, "InvocationModelErrors", dimensions(name), "Sum")["Sum"] == 1)
    assert statistics(cloud, "Invocation5XXErrors", dimensions(name), "Sum")["Sum"] == 0


def test_what_reaches_no_container_is_not_counted(cloud):
    name = cloud.served()
    with pytest.raises(ClientError):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"{}", TargetVariant="B")
    cloud.invoke(name)
    cloud.until(lambda: statistics(cloud, "Invocations", dimensions(name), "Sum")["Sum"] == 1)


def test_an_alarm_begins_without_data_and_follows_what_is_measured(cloud):
    name = cloud.served()
    alarm = put_alarm(cloud, Dimensions=dimensions(name))
    assert described(cloud, alarm)["StateValue"] == "INSUFFICIENT_DATA"
    cloud.invoke(name)
    crossed = becomes(cloud, alarm, "ALARM")
    assert crossed["StateReason"].startswith("Threshold Crossed: 1 datapoint [1.0 (")
    assert crossed["StateReason"].endswith("was greater than the threshold (0.0).")
    assert "unknown" in becomes(cloud, alarm, "INSUFFICIENT_DATA")["StateReason"]


def test_an_alarm_on_a_percentile_sees_the_slowest_requests(cloud):
    name = cloud.served()
    latency = {"MetricName": "ModelLatency", "Dimensions": dimensions(name), "Threshold": 200_000.0}
    slowest = put_alarm(cloud, ExtendedStatistic="p99", **latency)
    median = put_alarm(cloud, ExtendedStatistic="p50", **latency)
    with cloud.traffic(name):
        becomes(cloud, median, "OK")
        cloud.invoke(name, {"sleep": 0.3})
        becomes(cloud, slowest, "ALARM")
        assert described(cloud, median)["StateValue"] == "OK"


def test_an_alarm_on_a_metric_of_the_user_s_own_is_evaluated_too(cloud):
    alarm = put_alarm(cloud, Namespace="Mine", MetricName="Drift", Threshold=1.0, Dimensions=[])
    for _ in range(4):
        cloud.client("cloudwatch").put_metric_data(
            Namespace="Mine", MetricData=[{"MetricName": "Drift", "Value": 2}]
        )
        time.sleep(0.2)
    becomes(cloud, alarm, "ALARM")


def test_missing_data_is_treated_as_the_alarm_says(cloud):
    calm = put_alarm(cloud, Dimensions=dimensions("nobody"), TreatMissingData="notBreaching")
    silent = put_alarm(cloud, Dimensions=dimensions("nobody"), TreatMissingData="breaching")
    assert "[NonBreaching]" in becomes(cloud, calm, "OK")["StateReason"]
    becomes(cloud, silent, "ALARM")


def test_a_state_set_by_hand_holds_until_the_next_evaluation(cloud):
    alarm = put_alarm(cloud, Dimensions=dimensions("nobody"), TreatMissingData="notBreaching")
    becomes(cloud, alarm, "OK")
    cloud.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a drill")
    assert described(cloud, alarm)["StateValue"] == "ALARM"
    becomes(cloud, alarm, "OK")
