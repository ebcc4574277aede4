"""[endpoint] on SageMaker: the literal requests that it comes to, and what of them makes another version."""

from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator

from deploy import aws, config
from deploy.aws import alarms, waiting
from deploy.package import Archive
from deploy.plan import Change

ARCHIVE = Archive(Path("build/model.tar.gz"), "0" * 64, 1, 1)
TAGS = [{"Key": "slipway:deployment", "Value": "iris"}]
ENDPOINT = [{"Name": "EndpointName", "Value": "iris"}, {"Name": "VariantName", "Value": "AllTraffic"}]
ALARMS = "[endpoint.alarms]\nerrors = 5\nerror_percent = 1.5\np99_ms = 250\nminutes = 2\n"
SCALING = "[endpoint.scaling]\nmax = 2\n"
INSTANCES = {"InstanceType": "ml.m7i.large", "InitialInstanceCount": 1}
# Where a request of ours goes, by the kind of its resource.
OPERATIONS = {
    "model": ("sagemaker", "CreateModel"),
    "endpoint_config": ("sagemaker", "CreateEndpointConfig"),
    "endpoint": ("sagemaker", "UpdateEndpoint"),
    "candidate": ("sagemaker", "CreateEndpoint"),
    "alarm": ("cloudwatch", "PutMetricAlarm"),
}


@pytest.fixture
def settings(project):
    """The configuration with these lines in deploy.toml."""

    def read(text="", more_of_aws=""):
        place = project("iris")
        whole = (place / "deploy.toml").read_text().replace("[aws]\n", f"[aws]\n{more_of_aws}")
        (place / "deploy.toml").write_text(whole + text)
        found = config.load(place)
        config.check_cloud(found, "aws")
        return found

    return read


@pytest.fixture
def wanted(settings):
    """What is wanted with these lines in deploy.toml."""
    return lambda text="", more_of_aws="": aws.desired(settings(text, more_of_aws), ARCHIVE)


def of(resources, kind):
    return [resource.params for resource in resources if resource.kind == kind]


def variant(resources):
    (made,) = of(resources, "endpoint_config")
    return {name: value for name, value in made["ProductionVariants"][0].items() if name != "ModelName"}


def deployment(resources):
    return of(resources, "endpoint")[0].get("DeploymentConfig")


def test_a_canary_is_watched_by_alarms_that_carry_their_digest(wanted):
    found = wanted(f'[endpoint]\nrollout = "canary"\npercent = 20\nwait_s = 60\n{ALARMS}')
    shared = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": ENDPOINT,
        "Period": 60,
        "EvaluationPeriods": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": TAGS,
    }
    what = "of the endpoint iris: a new version is put back"
    names = [resource.name for resource in found if resource.kind == "alarm"]
    assert of(found, "alarm") == [
        {
            "AlarmName": names[0],
            "AlarmDescription": f"errors {what}",
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Sum",
            "Threshold": 5.0,
            **shared,
        },
        {
            "AlarmName": names[1],
            "AlarmDescription": f"error-percent {what}",
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",
            "Threshold": 0.015,
            **shared,
        },
        {
            "AlarmName": names[2],
            "AlarmDescription": f"p99 {what}",
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p99",
            "Threshold": 250_000.0,
            **shared,
        },
    ]
    assert all(alarms.is_alarm("iris", name) for name in names)
    assert deployment(found) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 60,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
            },
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": 3660,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]},
    }


def test_a_linear_rollout_waits_after_each_part(wanted):
    found = wanted('[endpoint]\nrollout = "linear"\npercent = 30\nwait_s = 100\ntermination_wait_s = 7\n')
    assert deployment(found) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 100,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30},
            },
            "TerminationWaitInSeconds": 7,
            "MaximumExecutionTimeoutInSeconds": 3907,
        }
    }


def test_all_at_once_is_sagemaker_s_own_but_for_alarms_and_a_wait(wanted):
    assert deployment(wanted()) is None
    assert deployment(wanted("[endpoint]\ntermination_wait_s = 9\n")) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 9,
            "MaximumExecutionTimeoutInSeconds": 3609,
        }
    }


def test_how_it_is_rolled_out_makes_no_other_version(wanted):
    def versions(resources):
        return [(r.kind, r.name, r.version) for r in resources if r.kind != "alarm"]

    assert versions(wanted(f'[endpoint]\nrollout = "canary"\n{ALARMS}')) == versions(wanted())


def test_scaling_is_a_range_and_a_policy_and_keeps_the_count_that_it_chose(wanted):
    found = wanted("[endpoint.scaling]\nmin = 2\nmax = 4\ninvocations = 600\n")
    where = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/iris/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert of(found, "scaling") == [
        {
            "RegisterScalableTarget": {
                **where,
                "MinCapacity": 2,
                "MaxCapacity": 4,
                "Tags": {"slipway:deployment": "iris"},
            },
            "PutScalingPolicy": {
                **where,
                "PolicyName": "slipway-iris",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 600.0,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                    },
                    "ScaleInCooldown": 300,
                    "ScaleOutCooldown": 60,
                },
            },
        }
    ]
    assert found[-1].version == (
        "2 to 4 instances, SageMakerVariantInvocationsPerInstance 600, in after 300 s, out after 60 s"
    )
    assert variant(found)["InitialInstanceCount"] == 2
    assert of(found, "endpoint") == [
        {
            "EndpointName": "iris",
            "EndpointConfigName": found[2].name,
            "Tags": TAGS,
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
        }
    ]


@pytest.mark.parametrize(("given", "first"), [(1, 2), (3, 3), (9, 4)])
def test_the_first_count_is_within_what_is_scaled(wanted, given, first):
    found = wanted("[endpoint.scaling]\nmin = 2\nmax = 4\nconcurrency = 1\n", f"instance_count = {given}\n")
    assert variant(found)["InitialInstanceCount"] == first


def test_a_serverless_endpoint_has_no_instances(wanted):
    found = wanted("[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 20\n")
    assert variant(found) == {
        "VariantName": "AllTraffic",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 20},
    }


def test_an_asynchronous_endpoint_keeps_its_answers_in_the_bucket_and_may_scale_to_none(wanted):
    found = wanted(
        "[endpoint.asynchronous]\nconcurrency = 4\nfailure = 'x/'\n"
        "[endpoint.scaling]\nmin = 0\nmax = 2\nbacklog = 5\n"
    )
    (made,) = of(found, "endpoint_config")
    assert made["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": "s3://slipway-tests/asynchronous/iris",
            "S3FailurePath": "s3://slipway-tests/x",
        },
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
    }
    assert variant(found) == {"VariantName": "AllTraffic", **INSTANCES}
    (scaled,) = of(found, "scaling")
    assert found[-1].version.endswith(", the first when a request waits")
    woken = {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": 300,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    assert scaled["Wake"]["PutScalingPolicy"]["StepScalingPolicyConfiguration"] == woken
    assert scaled["Wake"]["PutMetricAlarm"] == {
        "AlarmName": "iris-wake",
        "AlarmDescription": "a request waits and iris has no instance: it gets one",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Statistic": "Average",
        "Dimensions": ENDPOINT[:1],
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "Tags": TAGS,
    }
    assert scaled["RegisterScalableTarget"]["MinCapacity"] == 0
    assert scaled["PutScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 5.0,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": ENDPOINT[:1],
            "Statistic": "Average",
        },
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
    }


def test_what_is_captured_is_part_of_the_version(wanted):
    found = wanted("[endpoint.capture]\npercent = 10\nwhat = 'output'\n")
    (made,) = of(found, "endpoint_config")
    assert made["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": "s3://slipway-tests/captured",
        "CaptureOptions": [{"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json", "application/jsonlines"],
        },
    }
    assert found[2].name != wanted()[2].name


@pytest.mark.parametrize(
    "text",
    [
        f'[endpoint]\nrollout = "canary"\n{ALARMS}[endpoint.capture]\n{SCALING}concurrency = 1\n',
        f'[endpoint]\nrollout = "linear"\n[endpoint.asynchronous]\n{SCALING}min = 0\nbacklog = 1\n',
        "[endpoint.serverless]\nmemory_mb = 6144\nconcurrency = 200\n",
    ],
)
def test_every_request_is_one_that_aws_s_own_models_know(wanted, text):
    """Their members, types and ranges, by botocore, which sends none that is otherwise."""
    session, checked = botocore.session.get_session(), 0
    for resource in wanted(text):
        asked = [(*OPERATIONS[resource.kind], resource.params)] if resource.kind in OPERATIONS else []
        if resource.kind == "scaling":
            policies = {**resource.params, **resource.params.get("Wake", {})}
            where = {"PutMetricAlarm": "cloudwatch"}
            asked = [
                (where.get(name, "application-autoscaling"), name, params)
                for each in (resource.params, policies)
                for name, params in each.items()
                if name != "Wake"
            ]
        for service, operation, params in asked:
            shape = session.get_service_model(service).operation_model(operation).input_shape
            given = {k: v for k, v in params.items() if k != "Tags" or operation != "UpdateEndpoint"}
            assert ParamValidator().validate(given, shape).generate_report() == ""
            checked += 1
    assert checked >= 3


def test_a_rollback_asks_no_alarm_and_goes_at_once(settings):
    found = settings(f'[endpoint]\nrollout = "canary"\n{ALARMS}{SCALING}concurrency = 1\n')
    at_once, guarded = aws.in_service(found, "iris-0", guarded=False), aws.in_service(found, "iris-0")
    assert "DeploymentConfig" in of(guarded, "endpoint")[0]
    assert set(of(at_once, "endpoint")[0]) == {
        *("EndpointName", "EndpointConfigName", "Tags"),
        *("RetainAllVariantProperties", "ExcludeRetainedVariantProperties"),
    }
    assert at_once == guarded


class Recorder:
    """Answers as SageMaker does, and keeps what it was asked."""

    def __init__(self):
        self.asked = {}

    def __getattr__(self, operation):
        def answer(**request):
            self.asked[operation] = request
            return {"ResponseMetadata": {"HTTPHeaders": {}}}

        return answer


def test_only_an_update_is_asked_how_traffic_goes_over(settings):
    found, asked = settings('[endpoint]\nrollout = "canary"\n'), Recorder()
    (endpoint,) = (one for one in aws.in_service(found, "iris-0") if one.kind == "endpoint")
    waiting.begin(asked, found, Change("create", endpoint))
    assert set(asked.asked["create_endpoint"]) == {"EndpointName", "EndpointConfigName", "Tags"}
