"""What a training job's execution role may not do, is not done for it."""

import pytest
from botocore.exceptions import ClientError
from roles import make_role

SAVES = """
    import os, pathlib
    print("heard", flush=True)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("trained")
"""


@pytest.fixture
def lacking(cloud):
    """A role without that action; its ARN."""
    return lambda action: make_role(cloud.client("iam"), cloud.name("role"), without=action)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("s3:GetObject", "ClientError: Data download failed: s3://"),
        ("s3:PutObject", "ClientError: Artifact upload failed:AccessDenied: User: arn:aws:sts::"),
        ("ecr:GetDownloadUrlForLayer", "The role 'arn:aws:iam::123456789012:role/role-"),
    ],
)
def test_a_job_fails_at_what_its_role_may_not_do(trainer, lacking, action, reason):
    name = trainer.start(SAVES, RoleArn=lacking(action))
    assert trainer.ended(name, "Failed")["FailureReason"].startswith(reason)


def test_a_role_that_may_not_list_a_channel_starts_no_job(trainer, lacking):
    with pytest.raises(ClientError, match="s3:ListBucket"):
        trainer.start(SAVES, RoleArn=lacking("s3:ListBucket"))


def test_a_role_that_may_not_write_logs_trains_without_any(trainer, lacking):
    name = trainer.start(SAVES, RoleArn=lacking("logs:PutLogEvents"))
    trainer.ended(name)
    assert trainer.archive(name) == {"weights": b"trained"}
    assert trainer.log(name) == ""
