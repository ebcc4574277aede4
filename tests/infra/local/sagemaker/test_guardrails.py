"""Deployment guardrails, as boto3 sees them. The platform's minute is 0.6 s here."""

from collections import Counter

import pytest
from botocore.exceptions import ClientError
from roles import make_role


def size(value, kind="CAPACITY_PERCENT"):
    return {"Type": kind, "Value": value}


def policy(kind, wait, **routing):
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **routing}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def canary(percent=50, wait=3600):
    return policy("CANARY", wait, CanarySize=size(percent))


def guarded(deployment, *alarms):
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": one} for one in alarms]}}


def versions_of(cloud, name, calls=40):
    return Counter(cloud.invoke(name)["environment"]["VERSION"] for _ in range(calls))


def update(cloud, name, config, deployment):
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)


def pending(cloud, name):
    """The new version's line in DescribeEndpoint; None when nothing is pending."""
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)
    summary = described.get("PendingDeploymentSummary")
    return summary["ProductionVariants"][0] if summary else None


def baking(cloud, name, share="canary"):
    def is_baking():
        line = pending(cloud, name)
        status = line["VariantStatus"][0] if line else {}
        there = status.get("Status") == "Baking" and f"on {share} capacity" in status["StatusMessage"]
        return line if there else None

    return cloud.until(is_baking)


def alarm(cloud, metric="Invocation5XXErrors", **given):
    """An alarm on an endpoint's metric: any error in a minute."""
    name = cloud.name("alarm")
    dimensions = given.pop("dimensions")
    cloud.client("cloudwatch").put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.05,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **given,
        }
    )
    return name


def ring(cloud, name):
    """Sets the alarm off by hand."""
    cloud.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")


def state_of(cloud, name):
    (found,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found["StateValue"]


@pytest.fixture
def versions(cloud):
    """An endpoint on the version "old", and the configuration of "new"."""
    old, new = (cloud.config(cloud.model({"VERSION": version})) for version in ("old", "new"))
    return cloud.endpoint(old), old, new


def test_a_canary_gets_its_share_of_the_traffic_and_gives_it_back_when_an_alarm_is_set_by_hand(
    cloud, versions
):
    name, old, new = versions
    bell = alarm(cloud, dimensions={"EndpointName": name, "VariantName": "A"})
    update(cloud, name, new, guarded(canary(30), bell))
    line = baking(cloud, name)
    said = "Baking for 3600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 "
    assert line["VariantStatus"][0]["StatusMessage"] == said + "instance(s)."
    assert (line["CurrentInstanceCount"], line["CurrentWeight"]) == (1, 1.0)
    seen = versions_of(cloud, name, 60)
    assert 5 <= seen["new"] <= 35, seen
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", old)
    ring(cloud, bell)
    assert cloud.settled(name, "InService")["EndpointConfigName"] == old
    assert versions_of(cloud, name, 10) == {"old": 10}


def test_a_canary_that_bakes_in_peace_gets_all_the_traffic(cloud, versions):
    name, _, new = versions
    update(cloud, name, new, canary(30, wait=90))
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == new
    assert described["LastDeploymentConfig"] == canary(30, wait=90)
    assert "FailureReason" not in described
    assert versions_of(cloud, name, 10) == {"new": 10}


def test_an_alarm_set_off_by_errors_of_the_canary_rolls_the_update_back(cloud):
    old = cloud.config(cloud.model({"VERSION": "old"}))
    bad = cloud.config(cloud.model({"VERSION": "bad", "STATUS": "500"}))
    name = cloud.endpoint(old)
    errors = alarm(cloud, dimensions={"EndpointName": name, "VariantName": "A"})
    with cloud.traffic(name):
        update(cloud, name, bad, guarded(canary(), errors))
        baking(cloud, name)
        described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == old
    assert errors in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert versions_of(cloud, name, 20) == {"old": 20}
    cloud.until(lambda: state_of(cloud, errors) == "OK")


def test_an_alarm_on_the_new_configuration_alone_does_not_see_the_old_one_s_errors(cloud):
    bad = cloud.config(cloud.model({"VERSION": "bad", "STATUS": "500"}))
    new = cloud.config(cloud.model({"VERSION": "new"}))
    name = cloud.endpoint(bad)
    variant = {"EndpointName": name, "VariantName": "A"}
    both = alarm(cloud, dimensions=variant)
    only_new = alarm(cloud, dimensions={**variant, "EndpointConfigName": new})
    with cloud.traffic(name):
        cloud.until(lambda: state_of(cloud, both) == "ALARM")
        update(cloud, name, new, guarded(canary(wait=240), only_new))
        assert cloud.settled(name, "InService")["EndpointConfigName"] == new
    assert state_of(cloud, only_new) == "OK"


def test_an_alarm_rolls_back_also_when_all_traffic_is_on_the_new_fleet(cloud, versions):
    name, old, new = versions
    bell = alarm(cloud, dimensions={"EndpointName": name, "VariantName": "A"})
    deployment = policy("ALL_AT_ONCE", 0)
    deployment["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] = 3600
    update(cloud, name, new, guarded(deployment, bell))
    baking(cloud, name, "full")
    assert versions_of(cloud, name, 10) == {"new": 10}
    ring(cloud, bell)
    assert cloud.settled(name, "InService")["EndpointConfigName"] == old
    assert versions_of(cloud, name, 10) == {"old": 10}


def test_without_alarms_a_bad_version_is_rolled_out_all_the_same(cloud):
    name = cloud.served(VERSION="old")
    bad = cloud.config(cloud.model({"VERSION": "bad", "STATUS": "500"}))
    with cloud.traffic(name):
        update(cloud, name, bad, canary(wait=60))
        assert cloud.settled(name, "InService")["EndpointConfigName"] == bad


def test_linear_shifting_goes_up_step_by_step(cloud):
    old, new = (
        cloud.config(cloud.model({"VERSION": version}), InitialInstanceCount=2) for version in ("old", "new")
    )
    name = cloud.endpoint(old)
    update(cloud, name, new, policy("LINEAR", 240, LinearStepSize=size(1, "INSTANCE_COUNT")))
    seen = []

    def is_over():
        line = pending(cloud, name)
        if line and line["CurrentInstanceCount"] not in seen:
            seen.append(line["CurrentInstanceCount"])
        return line is None

    cloud.until(is_over)
    assert seen == sorted(seen)
    assert 1 in seen
    assert cloud.settled(name, "InService")["EndpointConfigName"] == new


def rolling(wait):
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size(50), "WaitIntervalInSeconds": wait}}


def test_a_rolling_update_ends_an_old_instance_for_each_new_one(cloud):
    old, new = (
        cloud.config(cloud.model({"VERSION": version}), InitialInstanceCount=2) for version in ("old", "new")
    )
    name = cloud.endpoint(old)
    update(cloud, name, new, rolling(180))
    baking(cloud, name)

    def one_of_each():
        described = cloud.sagemaker.describe_endpoint(EndpointName=name)
        old_line, new_line = described["ProductionVariants"][0], pending(cloud, name)
        return old_line["CurrentInstanceCount"] == 1 and new_line and new_line["CurrentInstanceCount"]

    cloud.until(one_of_each)
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == new
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert versions_of(cloud, name, 10) == {"new": 10}


def test_a_rolling_update_that_is_rolled_back_starts_the_old_instances_again(cloud):
    old, new = (
        cloud.config(cloud.model({"VERSION": version}), InitialInstanceCount=2) for version in ("old", "new")
    )
    name = cloud.endpoint(old)
    bell = alarm(cloud, dimensions={"EndpointName": name, "VariantName": "A"})
    update(cloud, name, new, guarded(rolling(200), bell))
    baking(cloud, name, "full")
    ring(cloud, bell)
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == old
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert versions_of(cloud, name, 10) == {"old": 10}


def test_a_deployment_that_takes_longer_than_its_limit_is_rolled_back(cloud, versions):
    name, old, new = versions
    deployment = canary(wait=600)
    # And starting takes time, too.
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 600
    update(cloud, name, new, deployment)
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == old
    assert "600 seconds" in described["FailureReason"]


def test_several_variants_are_shifted_all_at_once_whatever_is_asked(cloud):
    """Source: developer guide, deployment-guardrails-exclusions."""
    config = cloud.config(cloud.model(), cloud.model())
    name = cloud.endpoint(cloud.config(cloud.model()))
    update(cloud, name, config, canary(wait=3600))
    assert cloud.settled(name, "InService")["EndpointConfigName"] == config


def test_the_configuration_of_create_endpoint_is_retained_for_updates(cloud, versions):
    _, old, new = versions
    name = cloud.name("retained")
    cloud.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=old, DeploymentConfig=canary(wait=240)
    )
    cloud.settled(name, "InService")
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new, RetainDeploymentConfig=True)
    baking(cloud, name)
    assert cloud.settled(name, "InService")["LastDeploymentConfig"] == canary(wait=240)


def test_an_alarm_that_the_execution_role_may_not_look_at_is_refused(cloud, versions):
    role = make_role(cloud.client("iam"), "blind", without="cloudwatch:DescribeAlarms")
    blind = cloud.name("model")
    container = {"Image": cloud.image, "ModelDataUrl": cloud.archive()}
    cloud.sagemaker.create_model(ModelName=blind, ExecutionRoleArn=role, PrimaryContainer=container)
    name, _, _ = versions
    bell = alarm(cloud, dimensions={"EndpointName": name, "VariantName": "A"})
    with pytest.raises(ClientError, match="cloudwatch:DescribeAlarms"):
        update(cloud, name, cloud.config(blind), guarded(canary(), bell))


@pytest.mark.parametrize(
    ("deployment", "said"),
    [
        (canary(51), "canarySize: 51 CAPACITY_PERCENT is 51% of the fleet"),
        (canary(wait=3601), "less than or equal to 3600"),
        (guarded(canary(), "nobody"), 'The alarm "nobody"'),
    ],
)
def test_a_deployment_configuration_beyond_the_limits_is_refused_and_nothing_changes(
    cloud, versions, deployment, said
):
    name, old, new = versions
    with pytest.raises(ClientError, match=said):
        update(cloud, name, new, deployment)
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", old)
