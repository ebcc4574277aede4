"""IAM is enforced on every call that reaches the local cloud, in the words of each service."""

import io
import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.roles import RIGHTS

ACCOUNT = "123456789012"
BUCKET = "slipway-tests"
OBJECTS = f"arn:aws:s3:::{BUCKET}/iam/*"
MODELS = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/iam-*"
EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/slipway-execution"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"


def allow(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, int, str]:
    """The code, the status and the message of a refusal."""
    with pytest.raises(ClientError) as error:
        call(**given)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_who_has_no_role_may_do_everything(local_cloud):
    assert local_cloud.client("sagemaker").list_models(NameContains="iam-none")["Models"] == []


def test_a_control_plane_s_refusal_says_who_what_and_why(acting):
    someone = acting()
    code, status, message = refused(someone.client("sagemaker").describe_model, ModelName="iam-a")
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{someone.name}/me is not authorized to perform: "
        f"sagemaker:DescribeModel on resource: arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/iam-a "
        "because no identity-based policy allows the sagemaker:DescribeModel action"
    )


def test_s3_s_refusal_has_the_resource_in_quotes(acting):
    someone = acting()
    given = {"Bucket": BUCKET, "Key": "iam/a", "Body": b"x"}
    code, status, message = refused(someone.client("s3").put_object, **given)
    assert (code, status) == ("AccessDenied", 403)
    assert f'perform: s3:PutObject on resource: "arn:aws:s3:::{BUCKET}/iam/a" because no' in message


@pytest.mark.parametrize(
    ("service", "method", "given", "code", "status"),
    [
        ("iam", "get_role", {"RoleName": "slipway-execution"}, "AccessDenied", 403),
        ("cloudformation", "describe_stacks", {"StackName": "s"}, "AccessDenied", 403),
        ("sts", "assume_role", {"RoleArn": EXECUTION, "RoleSessionName": "me"}, "AccessDenied", 403),
        ("logs", "describe_log_groups", {}, "AccessDeniedException", 400),
        ("ecr", "describe_repositories", {}, "AccessDeniedException", 400),
        ("codebuild", "list_projects", {}, "AccessDeniedException", 400),
        ("cloudwatch", "describe_alarms", {}, "AccessDeniedException", 400),
        ("scheduler", "get_schedule", {"Name": "n"}, "AccessDeniedException", 403),
        ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "sagemaker"}, "", 400),
        ("budgets", "describe_budgets", {"AccountId": ACCOUNT}, "AccessDeniedException", 400),
        ("pricing", "get_products", {"ServiceCode": "AmazonSageMaker"}, "AccessDeniedException", 400),
        ("service-quotas", "list_service_quotas", {"ServiceCode": "sagemaker"}, "AccessDeniedException", 400),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "", 403),
    ],
)
def test_every_service_refuses_in_its_own_form(acting, service, method, given, code, status):
    found, answered, message = refused(getattr(acting().client(service), method), **given)
    assert (found, answered) == (code or "AccessDeniedException", status)
    assert "is not authorized to perform: " in message


def test_what_a_role_is_allowed_it_may_do_and_no_more(acting):
    s3 = acting(allow("s3:PutObject", "s3:GetObject", on=OBJECTS)).client("s3")
    s3.put_object(Bucket=BUCKET, Key="iam/a", Body=b"x")
    assert s3.get_object(Bucket=BUCKET, Key="iam/a")["Body"].read() == b"x"
    assert refused(s3.get_object, Bucket=BUCKET, Key="other/a")[0] == "AccessDenied"
    assert refused(s3.delete_object, Bucket=BUCKET, Key="iam/a")[0] == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"


def test_an_upload_in_parts_needs_what_one_in_a_piece_needs(acting):
    s3 = acting(allow("s3:PutObject", on=OBJECTS)).client("s3")
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(bytes(6 * 1024 * 1024)), BUCKET, "iam/large", Config=config)
    assert refused(s3.create_multipart_upload, Bucket=BUCKET, Key="other/large")[0] == "AccessDenied"


def test_an_absent_object_is_told_only_to_who_may_list_the_bucket(acting):
    absent = {"Bucket": BUCKET, "Key": "iam/absent"}
    reading = allow("s3:GetObject", on=OBJECTS)
    s3 = acting(reading).client("s3")
    assert refused(s3.get_object, **absent)[:2] == ("AccessDenied", 403)
    assert refused(s3.head_object, **absent)[:2] == ("403", 403)
    s3 = acting(reading, allow("s3:ListBucket", on=f"arn:aws:s3:::{BUCKET}")).client("s3")
    assert refused(s3.get_object, **absent)[0] == "NoSuchKey"
    assert refused(s3.head_object, **absent)[:2] == ("404", 404)


def test_a_listing_may_be_bound_to_a_prefix(acting):
    condition = {"StringLike": {"s3:prefix": "iam/*"}}
    s3 = acting(allow("s3:ListBucket", on=f"arn:aws:s3:::{BUCKET}", Condition=condition)).client("s3")
    s3.list_objects_v2(Bucket=BUCKET, Prefix="iam/a")
    assert refused(s3.list_objects_v2, Bucket=BUCKET, Prefix="other/")[0] == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"


def test_a_bucket_s_policy_denies_everybody_and_its_condition_counts(local_cloud, acting):
    root = local_cloud.client("s3")
    root.create_bucket(Bucket="iam-with-policy")
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    everything = ["arn:aws:s3:::iam-with-policy", "arn:aws:s3:::iam-with-policy/*"]
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": everything,
        "Condition": insecure,
    }
    frozen = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{everything[0]}/f*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [tls, frozen]})
    root.put_bucket_policy(Bucket="iam-with-policy", Policy=policy)
    root.put_object(Bucket="iam-with-policy", Key="a", Body=b"x")
    assert root.get_object(Bucket="iam-with-policy", Key="a")["Body"].read() == b"x"
    _, _, message = refused(root.put_object, Bucket="iam-with-policy", Key="frozen", Body=b"x")
    assert "with an explicit deny in a resource-based policy" in message
    someone = acting(allow("s3:*")).client("s3")
    someone.put_object(Bucket="iam-with-policy", Key="b", Body=b"x")
    assert refused(someone.put_object, Bucket="iam-with-policy", Key="f", Body=b"")[0] == "AccessDenied"


def test_a_model_is_made_by_who_may_also_pass_its_role(acting):
    container = {"Image": IMAGE}
    given = {"ModelName": "iam-passed", "PrimaryContainer": container, "ExecutionRoleArn": EXECUTION}
    making = allow("sagemaker:CreateModel", on=MODELS)
    _, _, message = refused(acting(making).client("sagemaker").create_model, **given)
    assert f"iam:PassRole on resource: {EXECUTION} because" in message
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    elsewhere = allow("iam:PassRole", on=EXECUTION, Condition=condition)
    assert "iam:PassRole" in refused(acting(making, elsewhere).client("sagemaker").create_model, **given)[2]
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    passing = allow("iam:PassRole", on=EXECUTION, Condition=condition)
    acting(making, passing).client("sagemaker").create_model(**given)
    tagged = {**given, "ModelName": "iam-tagged", "Tags": [{"Key": "a", "Value": "b"}]}
    assert (
        "sagemaker:AddTags" in refused(acting(making, passing).client("sagemaker").create_model, **tagged)[2]
    )


def test_instance_types_can_be_bound(acting, local_cloud):
    given = {"ModelName": "iam-bound", "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": EXECUTION}
    local_cloud.client("sagemaker").create_model(**given)
    bound = {"ForAllValues:StringLike": {"sagemaker:InstanceTypes": ["ml.m*"]}}
    sagemaker = acting(allow("sagemaker:CreateEndpointConfig", Condition=bound)).client("sagemaker")
    variant = {"VariantName": "A", "ModelName": "iam-bound", "InitialInstanceCount": 1}

    def configure(name, instance_type):
        variants = [{**variant, "InstanceType": instance_type}]
        return {"EndpointConfigName": name, "ProductionVariants": variants}

    sagemaker.create_endpoint_config(**configure("iam-small", "ml.m5.large"))
    large = configure("iam-large", "ml.p5.48xlarge")
    assert refused(sagemaker.create_endpoint_config, **large)[0] == "AccessDeniedException"


def test_a_resource_s_tags_can_be_asked_for(acting, local_cloud):
    root = local_cloud.client("sagemaker")
    for name, team in (("iam-of-a", "a"), ("iam-of-b", "b")):
        container = {"Image": IMAGE}
        tags = [{"Key": "Team", "Value": team}]
        root.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=EXECUTION, Tags=tags)
    own = {"StringEquals": {"aws:ResourceTag/Team": "a"}}
    sagemaker = acting(allow("sagemaker:DescribeModel", Condition=own)).client("sagemaker")
    sagemaker.describe_model(ModelName="iam-of-a")
    assert refused(sagemaker.describe_model, ModelName="iam-of-b")[0] == "AccessDeniedException"


def test_a_user_s_key_has_the_rights_of_the_user_and_of_the_user_s_groups(iam, local_cloud):
    iam.create_user(UserName="iam-ann")
    key = iam.create_access_key(UserName="iam-ann")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    session = boto3.Session(region_name="us-east-1", **keys)
    sagemaker = session.client("sagemaker", endpoint_url=local_cloud.url)
    code, _, message = refused(sagemaker.list_models)
    assert (code, f"User: arn:aws:iam::{ACCOUNT}:user/iam-ann is not" in message) == (
        "AccessDeniedException",
        True,
    )
    iam.create_group(GroupName="iam-listers")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sagemaker:List*")]})
    iam.put_group_policy(GroupName="iam-listers", PolicyName="p", PolicyDocument=document)
    iam.add_user_to_group(GroupName="iam-listers", UserName="iam-ann")
    sagemaker.list_models()
    iam.update_access_key(UserName="iam-ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(sagemaker.list_models)[0] == "UnrecognizedClientException"
    sagemaker.close()


def test_a_managed_policy_and_a_boundary_count(iam, role, assumed):
    arn = role()
    name = arn.rpartition("/")[2]
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sagemaker:*")]})
    policy = iam.create_policy(PolicyName="iam-managed", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    sagemaker = assumed(arn).client("sagemaker")
    sagemaker.list_models()
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]})
    boundary = iam.create_policy(PolicyName="iam-boundary", PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    assert "no permissions boundary allows" in refused(sagemaker.list_models)[2]


def test_a_session_s_own_policy_bounds_it(role, assumed):
    arn = role(allow("sagemaker:*"))
    bound = json.dumps({"Version": "2012-10-17", "Statement": [allow("sagemaker:ListModels")]})
    sagemaker = assumed(arn, Policy=bound).client("sagemaker")
    sagemaker.list_models()
    assert refused(sagemaker.list_endpoints)[0] == "AccessDeniedException"


def test_a_role_is_assumed_by_whom_its_trust_policy_lets(local_cloud, role):
    sts = local_cloud.client("sts")
    service = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = role(trust=service)
    code, _, message = refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")
    assert code == "AccessDenied"
    assert message.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")
    nobody = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    assert refused(sts.assume_role, RoleArn=nobody, RoleSessionName="me")[0] == "AccessDenied"


def test_a_role_may_ask_for_an_external_id(local_cloud, role):
    named = {"StringEquals": {"sts:ExternalId": "secret"}}
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": named}
    arn = role(trust=trust)
    sts = local_cloud.client("sts")
    assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")[0] == "AccessDenied"
    sts.assume_role(RoleArn=arn, RoleSessionName="me", ExternalId="secret")


def test_a_role_assumes_another_with_its_own_right_or_by_its_own_name(role, acting, assumed):
    open_to_the_account = role()
    asking = {"RoleArn": open_to_the_account, "RoleSessionName": "me"}
    assert refused(acting().client("sts").assume_role, **asking)[0] == "AccessDenied"
    acting(allow("sts:AssumeRole", on=open_to_the_account)).client("sts").assume_role(**asking)
    arn = role()
    named = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    for_one = role(trust=named)
    assumed(arn).client("sts").assume_role(RoleArn=for_one, RoleSessionName="me")


def test_a_session_with_the_token_of_another_is_refused(local_cloud, acting):
    someone = acting(allow("sagemaker:*"))
    keys = {**someone.keys, "aws_session_token": "another"}
    other = boto3.Session(region_name="us-east-1", **keys).client("sagemaker", endpoint_url=local_cloud.url)
    assert refused(other.list_models)[:2] == ("UnrecognizedClientException", 400)
    other.close()


def test_sessions_without_a_role_are_not_handed_out_to_a_role(acting):
    code, _, message = refused(acting(allow("sts:*")).client("sts").get_session_token)
    assert (code, "GetSessionToken" in message) == ("UnknownOperationException", True)


def test_a_presigned_url_has_the_rights_of_who_signed_it(local_cloud, acting):
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key="iam/signed", Body=b"x")
    given = {"Params": {"Bucket": BUCKET, "Key": "iam/signed"}, "ClientMethod": "get_object"}
    reader = acting(allow("s3:GetObject", on=OBJECTS)).client("s3")
    with urllib.request.urlopen(reader.generate_presigned_url(**given)) as answer:
        assert answer.read() == b"x"
    stranger = acting().client("s3")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(stranger.generate_presigned_url(**given))


def test_a_refused_upload_leaves_its_connection_usable(acting):
    s3 = acting(allow("s3:PutObject", on=OBJECTS)).client("s3")
    for body in (b"x", bytes(3 * 1024 * 1024)):
        assert refused(s3.put_object, Bucket=BUCKET, Key="other/a", Body=body)[0] == "AccessDenied"
        s3.put_object(Bucket=BUCKET, Key="iam/a", Body=body)


def test_all_keys_of_a_deletion_must_be_allowed(local_cloud, acting):
    root, s3 = local_cloud.client("s3"), acting(allow("s3:DeleteObject", on=OBJECTS)).client("s3")
    for key in ("iam/x", "kept/y"):
        root.put_object(Bucket=BUCKET, Key=key, Body=b"")
    both = {"Objects": [{"Key": "iam/x"}, {"Key": "kept/y"}]}
    assert refused(s3.delete_objects, Bucket=BUCKET, Delete=both)[0] == "AccessDenied"
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "iam/x"}]})
    root.head_object(Bucket=BUCKET, Key="kept/y")
    root.delete_object(Bucket=BUCKET, Key="kept/y")


def test_the_default_role_s_rights_hold_no_star_but_where_there_is_nothing_finer():
    assert [one["Sid"] for one in RIGHTS["Statement"] if one["Resource"] == "*"] == ["Images"]
    assert not [action for one in RIGHTS["Statement"] for action in one["Action"] if "*" in action]


def test_time_can_be_a_condition(acting):
    until = {"DateLessThan": {"aws:CurrentTime": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}}
    sagemaker = acting(allow("sagemaker:ListModels", Condition=until)).client("sagemaker")
    assert refused(sagemaker.list_models)[0] == "AccessDeniedException"
