"""Autoscaling of endpoints, as boto3 sees it. The platform's minute is 0.6 s here."""

import contextlib
import json

import pytest
from botocore.exceptions import ClientError

VARIANT = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


def where(name, variant="A"):
    return {**VARIANT, "ResourceId": f"endpoint/{name}/variant/{variant}"}


def scaling(cloud):
    return cloud.client("application-autoscaling")


def register(cloud, name, least, most):
    scaling(cloud).register_scalable_target(**where(name), MinCapacity=least, MaxCapacity=most)


def track(cloud, name, target, **given):
    config = {
        "TargetValue": target,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleOutCooldown": 0,
        "ScaleInCooldown": 0,
        **given,
    }
    return scaling(cloud).put_scaling_policy(
        **where(name),
        PolicyName="follow",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=config,
    )


def count(cloud, name):
    (line,) = cloud.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    return line["CurrentInstanceCount"]


def test_an_endpoint_under_load_gets_instances_up_to_its_most_and_gives_them_back(cloud):
    name = cloud.served()
    register(cloud, name, 1, 2)
    track(cloud, name, 2.0)
    with cloud.traffic(name):
        cloud.until(lambda: count(cloud, name) == 2, 30)
        cloud.settled(name, "InService")
        assert len({cloud.invoke(name)["pid"] for _ in range(20)}) == 2
    # Without requests there is no data, and nothing is scaled in; few requests are data.
    track(cloud, name, 1000.0)
    with cloud.traffic(name, 0.2):
        cloud.until(lambda: count(cloud, name) == 1, 40)


def test_registering_brings_the_count_within_the_bounds_at_once(cloud):
    name = cloud.served()
    register(cloud, name, 2, 3)
    cloud.until(lambda: count(cloud, name) == 2)
    cloud.settled(name, "InService")


def test_the_policy_s_alarms_are_there_and_go_with_it(cloud):
    name = cloud.served()
    register(cloud, name, 1, 2)
    made = track(cloud, name, 70.0)
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"TargetTracking-endpoint/{name}/")
    sides = {one["ComparisonOperator"]: one for one in alarms["MetricAlarms"]}
    high, low = sides["GreaterThanThreshold"], sides["LessThanThreshold"]
    assert (high["Threshold"], high["EvaluationPeriods"], high["MetricName"]) == (
        70.0,
        3,
        "InvocationsPerInstance",
    )
    assert (low["Threshold"], low["EvaluationPeriods"]) == (63.0, 15)
    assert {one["AlarmName"] for one in made["Alarms"]} == {high["AlarmName"], low["AlarmName"]}
    track(cloud, name, 80.0)
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"TargetTracking-endpoint/{name}/")
    assert sorted(one["Threshold"] for one in alarms["MetricAlarms"]) == [72.0, 80.0]
    scaling(cloud).deregister_scalable_target(**where(name))
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"TargetTracking-endpoint/{name}/")
    assert alarms["MetricAlarms"] == []
    assert (
        scaling(cloud).describe_scaling_policies(
            ServiceNamespace="sagemaker", ResourceId=where(name)["ResourceId"]
        )["ScalingPolicies"]
        == []
    )


def test_deleting_the_endpoint_deregisters_it(cloud):
    name = cloud.served()
    register(cloud, name, 1, 2)
    track(cloud, name, 70.0)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    left = scaling(cloud).describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[where(name)["ResourceId"]]
    )
    assert left["ScalableTargets"] == []


def test_an_update_that_changes_the_type_of_a_scaled_variant_is_refused_and_its_count_can_be_kept(cloud):
    name = cloud.served()
    register(cloud, name, 2, 3)
    cloud.until(lambda: count(cloud, name) == 2)
    cloud.settled(name, "InService")
    other = cloud.config(cloud.model(), InstanceType="ml.m5.large")
    with pytest.raises(ClientError, match="target of automatic scaling"):
        cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    same = cloud.config(cloud.model())
    cloud.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=same, RetainAllVariantProperties=True
    )
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == same
    assert count(cloud, name) == 2


def make_async(cloud):
    name, model = cloud.name("scaled"), cloud.model()
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[cloud.variant(model)],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": f"s3://{cloud.bucket}/scaled"}},
    )
    return cloud.endpoint(name)


def test_an_asynchronous_endpoint_goes_to_zero_and_comes_back_for_what_waits(cloud):
    name = make_async(cloud)
    register(cloud, name, 0, 1)
    asked = {"EndpointName": name, "Body": b'{"text": "answered"}'}
    cloud.runtime.invoke_endpoint_async(**asked)
    backlog = {"Namespace": "AWS/SageMaker", "Dimensions": [{"Name": "EndpointName", "Value": name}]}
    tracked = {"MetricName": "ApproximateBacklogSizePerInstance", "Statistic": "Average", **backlog}
    scaling(cloud).put_scaling_policy(
        **where(name),
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5.0,
            "CustomizedMetricSpecification": tracked,
            "ScaleInCooldown": 0,
            "ScaleOutCooldown": 0,
        },
    )
    cloud.until(lambda: count(cloud, name) == 0, 40)
    step = scaling(cloud).put_scaling_policy(
        **where(name),
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 0,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=cloud.name("backlog"),
        MetricName="HasBacklogWithoutCapacity",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[step["PolicyARN"]],
        **backlog,
    )
    accepted = cloud.runtime.invoke_endpoint_async(**asked)
    bucket, _, key = accepted["OutputLocation"].removeprefix("s3://").partition("/")

    def answer():
        with contextlib.suppress(cloud.client("s3").exceptions.NoSuchKey):
            return cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    assert cloud.until(answer, 40) == b"answered"


def refused(cloud, name, **given):
    request = {**where(name), "MinCapacity": 1, "MaxCapacity": 2, **given}
    with pytest.raises(ClientError) as caught:
        scaling(cloud).register_scalable_target(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


def test_what_the_platform_does_not_scale_is_refused(cloud):
    name = cloud.served()
    assert "only an asynchronous endpoint" in refused(cloud, name, MinCapacity=0)
    assert "Maximum capacity cannot be less" in refused(cloud, name, MinCapacity=3)
    assert "Could not find variant B" in refused(cloud, name, **where(name, "B"))
    assert "Could not find endpoint" in refused(cloud, "nobody")
    with pytest.raises(ClientError, match="No scalable target registered"):
        track(cloud, name, 70.0)


def test_a_policy_of_other_services_is_left_to_the_records(cloud):
    """Only endpoints' variants are made true."""
    target = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    scaling(cloud).register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    found = scaling(cloud).describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert json.dumps(found, default=str).count("table/t") == 1
