"""What a call needs: read from requests as botocore sends them, and from S3's paths."""

from functools import cache

import pytest
from botocore.config import Config
from botocore.session import get_session

from infra.local.iam import calls, demands
from infra.local.iam.calls import Asked
from infra.local.iam.demands import resources, s3

ACCOUNT, REGION = "123456789012", "us-east-1"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/slipway-execution"
SIGNING = {
    "cloudwatch": "monitoring",
    "resourcegroupstaggingapi": "tagging",
    "service-quotas": "servicequotas",
}


@cache
def client_of(service):
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    aws = Config(ignore_configured_endpoint_urls=True)  # whatever address another test has set
    made = get_session().create_client(service, region_name=REGION, config=aws, **keys)
    made.meta.events.register("before-send", lambda request, **_: _stop(request))
    return made


def asked(service, operation, parameters):
    """The request that botocore would send for an operation."""
    with pytest.raises(_Sent) as sent:
        client_of(service)._make_api_call(operation, parameters)
    request = sent.value.args[0]
    path, _, query = request.url.split("amazonaws.com", 1)[1].partition("?")
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    signing = SIGNING.get(service, "sagemaker" if service == "sagemaker-runtime" else service)
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    return Asked(signing, request.method, path, query, headers, body)


def _stop(request):
    raise _Sent(request)


class _Sent(Exception):
    pass


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def needed(service, operation, **parameters):
    call = calls.call_of(asked(service, operation, parameters), ACCOUNT, REGION)
    return [(one.action, one.resource) for one in demands.of_call(call)]


def contexts(service, operation, **parameters):
    call = calls.call_of(asked(service, operation, parameters), ACCOUNT, REGION)
    return demands.of_call(call)[0].context


def test_a_model_needs_the_role_s_passing_and_its_tags():
    container = {"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz"}
    found = needed(
        "sagemaker",
        "CreateModel",
        ModelName="iris",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        Tags=[{"Key": "Team", "Value": "a"}],
    )
    assert found == [
        ("sagemaker:CreateModel", f"{SAGEMAKER}model/iris"),
        ("iam:PassRole", ROLE),
        ("sagemaker:AddTags", f"{SAGEMAKER}model/iris"),
    ]


def test_a_role_is_passed_to_one_service():
    parameters = {"ModelName": "iris", "ExecutionRoleArn": ROLE}
    call = calls.Call("sagemaker", "CreateModel", parameters, ACCOUNT, REGION)
    assert demands.of_call(call)[1].context == {"iam:passedtoservice": ("sagemaker.amazonaws.com",)}


@pytest.mark.parametrize("operation", ["CreateEndpoint", "UpdateEndpoint"])
def test_an_endpoint_and_its_configuration_are_both_acted_on(operation):
    assert needed("sagemaker", operation, EndpointName="e", EndpointConfigName="c") == [
        (f"sagemaker:{operation}", f"{SAGEMAKER}endpoint/e"),
        (f"sagemaker:{operation}", f"{SAGEMAKER}endpoint-config/c"),
    ]


def test_instance_types_and_tags_are_for_conditions():
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    context = contexts(
        "sagemaker",
        "CreateEndpointConfig",
        EndpointConfigName="c",
        ProductionVariants=[variant, {**variant, "VariantName": "B", "InstanceType": "ml.c5.large"}],
        Tags=[{"Key": "Team", "Value": "a"}, {"Key": "Owner", "Value": "b"}],
    )
    assert context["sagemaker:instancetypes"] == ("ml.m5.large", "ml.c5.large")
    assert context["sagemaker:modelarn"] == (f"{SAGEMAKER}model/m",)
    assert context["aws:requesttag/team"] == ("a",)
    assert context["aws:tagkeys"] == ("Team", "Owner")


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("sagemaker", "ListModels", {}, [("sagemaker:ListModels", "*")]),
        (
            "sagemaker",
            "ListTags",
            {"ResourceArn": f"{SAGEMAKER}endpoint/e"},
            [("sagemaker:ListTags", f"{SAGEMAKER}endpoint/e")],
        ),
        (
            "sagemaker-runtime",
            "InvokeEndpoint",
            {"EndpointName": "e", "Body": b""},
            [("sagemaker:InvokeEndpoint", f"{SAGEMAKER}endpoint/e")],
        ),
        (
            "sagemaker-runtime",
            "InvokeEndpointWithResponseStream",
            {"EndpointName": "e", "Body": b""},
            [("sagemaker:InvokeEndpointWithResponseStream", f"{SAGEMAKER}endpoint/e")],
        ),
        (
            "logs",
            "FilterLogEvents",
            {"logGroupName": "/aws/sagemaker/Endpoints/e"},
            [
                (
                    "logs:FilterLogEvents",
                    f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/e:log-stream:",
                )
            ],
        ),
        ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*")]),
        (
            "ecr",
            "DescribeImages",
            {"repositoryName": "a/b"},
            [("ecr:DescribeImages", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/a/b")],
        ),
        (
            "cloudformation",
            "CreateChangeSet",
            {"StackName": "s", "ChangeSetName": "c", "RoleARN": ROLE, "Tags": [{"Key": "a", "Value": "b"}]},
            [
                ("cloudformation:CreateChangeSet", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/s/*"),
                ("iam:PassRole", ROLE),
                ("cloudformation:TagResource", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/s/*"),
            ],
        ),
        (
            "cloudformation",
            "DescribeStacks",
            {"StackName": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/s/1"},
            [("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/s/1")],
        ),
        (
            "codebuild",
            "BatchGetBuilds",
            {"ids": ["p:1", "p:2", "q:1"]},
            [
                ("codebuild:BatchGetBuilds", f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/p"),
                ("codebuild:BatchGetBuilds", f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/q"),
            ],
        ),
        (
            "cloudwatch",
            "DeleteAlarms",
            {"AlarmNames": ["a", "b"]},
            [
                ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:a"),
                ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:b"),
            ],
        ),
        (
            "cloudwatch",
            "DescribeAlarms",
            {},
            [("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*")],
        ),
        (
            "scheduler",
            "CreateSchedule",
            {
                "Name": "n",
                "ScheduleExpression": "at(2030-01-01T00:00:00)",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint", "RoleArn": ROLE},
            },
            [
                ("scheduler:CreateSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/n"),
                ("iam:PassRole", ROLE),
            ],
        ),
        (
            "scheduler",
            "DeleteSchedule",
            {"Name": "n", "GroupName": "g"},
            [("scheduler:DeleteSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/g/n")],
        ),
        (
            "application-autoscaling",
            "RegisterScalableTarget",
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/e/variant/A",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            },
            [
                (
                    "application-autoscaling:RegisterScalableTarget",
                    f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*",
                ),
                (
                    "iam:CreateServiceLinkedRole",
                    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/sagemaker.application-autoscaling."
                    "amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
                ),
            ],
        ),
        (
            "budgets",
            "DescribeBudget",
            {"AccountId": ACCOUNT, "BudgetName": "b"},
            [("budgets:ViewBudget", f"arn:aws:budgets::{ACCOUNT}:budget/b")],
        ),
        ("pricing", "GetProducts", {"ServiceCode": "AmazonSageMaker"}, [("pricing:GetProducts", "*")]),
        ("resourcegroupstaggingapi", "GetResources", {}, [("tag:GetResources", "*")]),
        (
            "service-quotas",
            "ListServiceQuotas",
            {"ServiceCode": "sagemaker"},
            [("servicequotas:ListServiceQuotas", "*")],
        ),
        ("iam", "GetRole", {"RoleName": "r"}, [("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/r")]),
        ("sts", "GetCallerIdentity", {}, []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_needs_its_action_on_what_it_names(service, operation, parameters, expected):
    assert needed(service, operation, **parameters) == expected


@pytest.mark.parametrize("service", sorted(resources.RESOURCES))
def test_every_operation_of_a_service_needs_something_whatever_it_says(service):
    named = {signing: name for name, signing in SIGNING.items()}.get(service, service)
    operations = get_session().get_service_model(named).operation_names
    assert set(resources.RESOURCES[service]) - _of_runtime() <= set(operations)
    for operation in operations:
        needed = demands.of_call(calls.Call(service, operation, {}, ACCOUNT, REGION))
        assert bool(needed) is not ((service, operation) in resources.FREE)


def _of_runtime():
    return set(get_session().get_service_model("sagemaker-runtime").operation_names)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_parameters_that_cannot_be_read_are_none(body):
    request = Asked("sagemaker", "POST", "/", headers={"x-amz-target": "SageMaker.CreateModel"}, body=body)
    call = calls.call_of(request, ACCOUNT, REGION)
    assert [(one.action, one.resource) for one in demands.of_call(call)] == [
        ("sagemaker:CreateModel", f"{SAGEMAKER}model/*")
    ]


def test_an_unknown_operation_needs_an_action_that_no_policy_names():
    call = calls.call_of(Asked("sagemaker", "POST", "/"), ACCOUNT, REGION)
    assert [(one.action, one.resource) for one in demands.of_call(call)] == [("sagemaker:Unknown", "*")]


def of_s3(operation, **parameters):
    return s3.of_request(asked("s3", operation, parameters))


OBJECT = {"Bucket": "b", "Key": "deep/k"}
UPLOAD = {**OBJECT, "UploadId": "u"}


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("ListBuckets", {}, ["ListAllMyBuckets *"]),
        ("GetObject", OBJECT, ["GetObject b/deep/k"]),
        ("HeadObject", OBJECT, ["GetObject b/deep/k"]),
        ("GetObject", {**OBJECT, "VersionId": "v"}, ["GetObjectVersion b/deep/k"]),
        ("GetObjectTagging", {**OBJECT, "VersionId": "v"}, ["GetObjectTagging b/deep/k"]),
        ("PutObject", OBJECT, ["PutObject b/deep/k"]),
        ("PutObject", {**OBJECT, "Tagging": "a=b"}, ["PutObject b/deep/k", "PutObjectTagging b/deep/k"]),
        ("PutObject", {**OBJECT, "ACL": "private"}, ["PutObject b/deep/k", "PutObjectAcl b/deep/k"]),
        ("CopyObject", {**OBJECT, "CopySource": "o/p"}, ["PutObject b/deep/k", "GetObject o/p"]),
        ("DeleteObject", OBJECT, ["DeleteObject b/deep/k"]),
        (
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y&z"}]}},
            ["DeleteObject b/x", "DeleteObject b/y&z"],
        ),
        ("CreateMultipartUpload", OBJECT, ["PutObject b/deep/k"]),
        ("UploadPart", {**UPLOAD, "PartNumber": 1}, ["PutObject b/deep/k"]),
        (
            "UploadPartCopy",
            {**UPLOAD, "PartNumber": 1, "CopySource": "o/p"},
            ["PutObject b/deep/k", "GetObject o/p"],
        ),
        ("CompleteMultipartUpload", {**UPLOAD, "MultipartUpload": {}}, ["PutObject b/deep/k"]),
        ("AbortMultipartUpload", UPLOAD, ["AbortMultipartUpload b/deep/k"]),
        ("ListParts", UPLOAD, ["ListMultipartUploadParts b/deep/k"]),
        ("ListMultipartUploads", {"Bucket": "b"}, ["ListBucketMultipartUploads b"]),
        ("ListObjectsV2", {"Bucket": "b", "Prefix": "p"}, ["ListBucket b"]),
        ("ListObjects", {"Bucket": "b"}, ["ListBucket b"]),
        ("ListObjectVersions", {"Bucket": "b"}, ["ListBucketVersions b"]),
        ("HeadBucket", {"Bucket": "b"}, ["ListBucket b"]),
        ("GetBucketLocation", {"Bucket": "b"}, ["GetBucketLocation b"]),
        ("GetBucketPolicy", {"Bucket": "b"}, ["GetBucketPolicy b"]),
        ("GetPublicAccessBlock", {"Bucket": "b"}, ["GetBucketPublicAccessBlock b"]),
        ("GetBucketEncryption", {"Bucket": "b"}, ["GetEncryptionConfiguration b"]),
        ("DeleteBucket", {"Bucket": "b"}, ["DeleteBucket b"]),
        ("GetObjectTorrent", OBJECT, ["GetTorrent b/deep/k"]),
    ],
)
def test_an_s3_request_needs_its_action(operation, parameters, expected):
    found = of_s3(operation, **parameters)
    assert [f"{one.action[3:]} {one.resource.removeprefix('arn:aws:s3:::')}" for one in found] == expected


def test_a_listing_s_prefix_and_an_object_s_tags_are_for_conditions():
    listing = of_s3("ListObjectsV2", Bucket="b", Prefix="p/")[0].context
    assert (listing["s3:prefix"], "s3:delimiter" in listing) == (("p/",), False)
    put = of_s3("PutObject", **OBJECT, Tagging="Team=a", IfNoneMatch="*")[0].context
    assert (put["s3:requestobjecttag/team"], put["s3:if-none-match"]) == (("a",), ("*",))
