"""What an endpoint's execution role may not do, is not done for it: it fails as it fails in the cloud."""

import json

import pytest
from botocore.exceptions import ClientError
from roles import make_role


@pytest.fixture
def lacking(cloud):
    """A role without that action; its ARN."""
    return lambda action: make_role(cloud.client("iam"), cloud.name("role"), without=action)


def created(cloud, role):
    """The name of a model with an archive and this role."""
    name = cloud.name("model")
    container = {"Image": cloud.image, "ModelDataUrl": cloud.archive()}
    cloud.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    return name


def failure(cloud, model):
    """Why an endpoint with this model failed."""
    name = cloud.endpoint(cloud.config(model), wait=False)
    return cloud.settled(name, "Failed")["FailureReason"]


def test_a_role_that_may_not_read_the_archive_makes_no_model(cloud, lacking):
    role = lacking("s3:GetObject")
    with pytest.raises(ClientError, match="Could not access model data at s3://") as error:
        created(cloud, role)
    assert f'the role "{role}" exists' in str(error.value)


def test_a_role_that_may_no_longer_read_the_archive_fails_the_endpoint(cloud, lacking):
    role = lacking("")
    model = created(cloud, role)
    iam, name = cloud.client("iam"), role.rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*/plain/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="no", PolicyDocument=policy)
    reason = failure(cloud, model)
    assert reason.startswith('Failed to download model data for container "container_1" from URL: "s3://')
    assert "the role passed to CreateModel has permissions to download the object." in reason


def test_a_role_that_may_not_pull_the_image_fails_the_endpoint(cloud, lacking):
    role = lacking("ecr:BatchGetImage")
    reason = failure(cloud, created(cloud, role))
    assert reason.startswith(
        f"The role '{role}' does not have BatchGetImage permission for the image: '{cloud.image}'."
    )


def test_a_role_that_may_not_write_logs_serves_without_any(cloud, lacking):
    quiet = cloud.endpoint(cloud.config(created(cloud, lacking("logs:CreateLogGroup"))))
    cloud.invoke(quiet)
    told = cloud.endpoint(cloud.config(created(cloud, lacking(""))))
    cloud.invoke(told)
    cloud.until(lambda: cloud.log_of(told))
    assert cloud.log_of(quiet) == ""


def test_a_role_is_lent_for_the_account_and_the_resources_that_its_trust_policy_names(cloud):
    iam, name = cloud.client("iam"), cloud.name("role")

    def trusting(account, arn):
        condition = {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": arn}}
        principal = {"Service": "sagemaker.amazonaws.com"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})

    role = make_role(iam, name)
    own = "arn:aws:sagemaker:us-east-1:123456789012:*"
    for account, arn in (("999999999999", own), ("123456789012", own.replace("us-east-1", "eu-west-1"))):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting(account, arn))
        with pytest.raises(ClientError, match=f'The execution role ARN "{role}" is invalid.'):
            created(cloud, role)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting("123456789012", own))
    created(cloud, role)
