"""What a transform job's model's execution role may not do, is not done for it."""

import pytest
from botocore.exceptions import ClientError
from roles import make_role

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/batchbox:1"


@pytest.fixture
def model(cloud):
    """A model whose role lacks that action; its name."""

    def make(action):
        role = make_role(cloud.client("iam"), cloud.name("role"), without=action)
        name = cloud.name("model")
        container = {"Image": IMAGE}
        cloud.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
        return name

    return make


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("s3:GetObject", "not authorized to perform: s3:GetObject"),
        ("s3:PutObject", "to perform: s3:PutObject"),
    ],
)
def test_a_job_fails_at_what_its_role_may_not_do(jobs, model, action, why):
    name = jobs.failed(jobs.put({"a": b"1\n"}), ModelName=model(action))
    assert any(why in line for line in jobs.data_log(name))
    assert jobs.outputs(name) == {}


def test_a_role_that_may_not_list_the_input_starts_no_job(jobs, model):
    with pytest.raises(ClientError, match='has "s3:ListBucket" permissions'):
        jobs.start(jobs.put({"a": b"1\n"}), ModelName=model("s3:ListBucket"))


def test_a_role_that_may_not_pull_the_image_fails_the_job(jobs, model):
    name = jobs.failed(jobs.put({"a": b"1\n"}), ModelName=model("ecr:GetAuthorizationToken"))
    found = jobs.cloud.sagemaker.describe_transform_job(TransformJobName=name)["FailureReason"]
    assert "does not have BatchGetImage permission" in found
