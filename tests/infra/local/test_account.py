"""An account that has what must exist first: the bucket and the role that a project names."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]

TOML = """\
[aws]
region = "eu-west-1"
bucket = "{bucket}"
role = "arn:aws:iam::{account}:role/{role}"
"""


@pytest.fixture
def up(local_cloud: Any, tmp_path: Path) -> Run:
    """`up --project` with this deploy.toml, on the local cloud that runs."""

    def run(toml: str | None) -> subprocess.CompletedProcess[str]:
        if toml is not None:
            (tmp_path / "deploy.toml").write_text(toml)
        command = [sys.executable, "-m", "infra.local", "up", "--project", str(tmp_path)]
        return subprocess.run(
            command, env=local_cloud.shell, cwd=ROOT, capture_output=True, text=True, timeout=60
        )

    return run


def test_the_bucket_and_the_role_are_made_once(up: Run, local_cloud: Any) -> None:
    toml = TOML.format(bucket="of-a-project", account="123456789012", role="service/of-a-project")
    assert up(toml).stderr.splitlines() == [
        "made in the local account: bucket of-a-project",
        "made in the local account: role of-a-project",
    ]
    assert up(toml).stderr == ""
    region = local_cloud.client("s3").get_bucket_location(Bucket="of-a-project")["LocationConstraint"]
    assert region == "eu-west-1"


def test_the_role_is_for_sagemaker_at_the_arn_that_was_written(up: Run, local_cloud: Any) -> None:
    up(TOML.format(bucket="any-bucket", account="123456789012", role="a/path/executor"))
    role = local_cloud.client("iam").get_role(RoleName="executor")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/a/path/executor"
    trusted = [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    assert trusted == [{"Service": "sagemaker.amazonaws.com"}]


def test_a_role_of_another_account_gets_its_own_bucket_there(up: Run, local_cloud: Any) -> None:
    up(TOML.format(bucket="of-another-account", account="210987654321", role="executor"))
    other = local_cloud.client("s3", account="210987654321")
    other.head_bucket(Bucket="of-another-account", ExpectedBucketOwner="210987654321")
    assert "of-another-account" not in json.dumps(local_cloud.client("s3").list_buckets(), default=str)


def test_a_bucket_that_another_account_has_stays_its(up: Run, local_cloud: Any) -> None:
    local_cloud.client("s3", account="210987654321").create_bucket(Bucket="taken-already")
    done = up(TOML.format(bucket="taken-already", account="123456789012", role="executor-2"))
    assert done.returncode == 0
    local_cloud.client("s3", account="210987654321").head_bucket(Bucket="taken-already")


@pytest.mark.parametrize("toml", [None, "[aws", "aws = 3", "[aws]\nbucket = 3\n", 'name = "x"\n'])
def test_a_deploy_toml_that_cannot_be_read_is_for_deploy_to_tell(up: Run, toml: str | None) -> None:
    done = up(toml)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bucket_name_that_s3_refuses_is_told_and_no_obstacle(up: Run) -> None:
    done = up('[aws]\nbucket = "x"\n')
    assert done.returncode == 0
    assert done.stderr == "the local account was not made ready: The specified bucket is not valid: 'x'\n"
