"""`infra`: the account's own part, made, changed and told, against the local cloud's CloudFormation."""

import json
import re
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from waiting import until

from deploy.__main__ import main
from deploy.aws import stacks
from deploy.aws.stacks.parameters import SETTINGS, parameters
from deploy.config import load
from deploy.target import CloudError

TEMPLATE = Path(__file__).parents[3] / "infra/aws/template.yaml"
ACCOUNT = "123456789012"
SECTION = """\
name = "{name}"

[aws]
region = "us-east-1"
bucket = "{bucket}"
role = "arn:aws:iam::{account}:role/kit/{bucket}-execution"
image = "{account}.dkr.ecr.us-east-1.amazonaws.com/{bucket}/serving:1"
instance_type = "ml.m7i.large"
"""
KINDS = {
    "bucket": "Bucket",
    "bucket_policy": "BucketPolicy",
    "repository": "Repository",
    "project": "ImageBuild",
    "log_group": "ImageBuildLog",
}


def written(place: Path, bucket: str, name: str = "iris", account: str = ACCOUNT) -> Path:
    """A project for that bucket: of every test its own, for the account is all the tests'."""
    place.mkdir(exist_ok=True)
    (place / "deploy.toml").write_text(SECTION.format(name=name, bucket=bucket, account=account))
    return place


@pytest.fixture
def infra(cloud: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Runs `infra` for a bucket of the test's own, or another; its exit status."""

    def run(*options: str, bucket: str = "", name: str = "iris", account: str = ACCOUNT) -> int:
        place = written(tmp_path / "project", bucket or own, name, account)
        return main(["infra", "--project", str(place), *options])

    test = request.node.name.removeprefix("test_")
    own = f"{re.sub('[^a-z]+', '-', test)[:30].strip('-')}-{zlib.crc32(test.encode()):08x}"
    run.bucket, run.stack = own, f"slipway-{own}"
    return run


def stack_of(cloud: Any, infra: Any) -> Any:
    return cloud.local.client("cloudformation").describe_stacks(StackName=infra.stack)["Stacks"][0]


def test_it_shows_makes_and_tells_and_a_second_time_there_is_nothing_to_change(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infra() == 0
    shown = capsys.readouterr().out
    for kind, name in KINDS.items():
        assert re.search(rf"^ +create +{kind} +{name}$", shown, re.M), shown
    assert f'bucket = "{infra.bucket}"' in shown
    assert f'role = "arn:aws:iam::{ACCOUNT}:role/kit/{infra.bucket}-execution"' in shown
    assert stack_of(cloud, infra)["StackStatus"] == "CREATE_COMPLETE"
    assert infra() == 0
    again = capsys.readouterr().out
    assert "nothing to change" in again and f'bucket = "{infra.bucket}"' in again
    assert "LastUpdatedTime" not in stack_of(cloud, infra)


def test_a_setting_changes_what_it_is_for_and_is_kept(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    infra()
    capsys.readouterr()
    assert infra("--set", "Email=me@example.org Amount=50") == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^ +(create|update|delete) +(.+)$", shown, re.M) == [
        ("create", "budget          Budget")
    ]
    assert infra() == 0
    assert "nothing to change" in capsys.readouterr().out
    budget = cloud.local.client("budgets").describe_budget(AccountId=ACCOUNT, BudgetName=infra.stack)
    assert budget["Budget"]["BudgetLimit"]["Amount"] == "50"


def test_what_of_a_resource_changes_is_shown(infra: Any, capsys: pytest.CaptureFixture[str]) -> None:
    infra()
    capsys.readouterr()
    assert infra("--set", "InvokedEndpoint=other LogDays=7") == 0
    shown = capsys.readouterr().out
    assert re.search(r"^ +update +role +InvokerRole \(Policies\)$", shown, re.M)
    assert re.search(r"^ +update +log_group +ImageBuildLog \(RetentionInDays\)$", shown, re.M)


def test_live_asks_and_a_no_leaves_nothing_behind(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infra("--live") == 1
    assert "YES=1" in capsys.readouterr().err
    client = cloud.local.client("cloudformation")
    until(lambda: infra.stack not in [one["StackName"] for one in client.describe_stacks()["Stacks"]], 5)
    assert infra("--live", "--yes") == 0


def test_a_failed_resource_s_own_reason_is_told_and_the_next_run_begins_anew(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = cloud.local.client("s3")
    s3.create_bucket(Bucket=infra.bucket)
    assert infra() == 1
    error = capsys.readouterr().err
    assert "ROLLBACK_COMPLETE" in error and f"Bucket: {infra.bucket} already exists" in error
    assert "name another in deploy.toml" in error
    assert stack_of(cloud, infra)["StackStatus"] == "ROLLBACK_COMPLETE"
    s3.delete_bucket(Bucket=infra.bucket)
    assert infra() == 0
    assert stack_of(cloud, infra)["StackStatus"] == "CREATE_COMPLETE"


def test_a_change_that_fails_leaves_the_account_as_it_was(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    infra()
    iam, budgets = cloud.local.client("iam"), cloud.local.client("budgets")
    # The budget's name is taken, so that it cannot be made, and the role that was changed before is put back.
    limit = {"BudgetName": infra.stack, "BudgetType": "COST", "TimeUnit": "MONTHLY"}
    limit["BudgetLimit"] = {"Amount": "1", "Unit": "USD"}
    budgets.create_budget(AccountId=ACCOUNT, Budget=limit)

    def may_invoke() -> Any:
        invoker = next(
            one["OutputValue"]
            for one in stack_of(cloud, infra)["Outputs"]
            if one["OutputKey"] == "InvokerRole"
        )
        policy = iam.get_role_policy(RoleName=invoker.rpartition("/")[2], PolicyName="one-endpoint")
        return policy["PolicyDocument"]

    before = may_invoke()
    assert infra("--set", "InvokedEndpoint=other Email=me@example.org") == 1
    error = capsys.readouterr().err
    assert "UPDATE_ROLLBACK_COMPLETE: Budget: Resource handler returned message" in error
    assert may_invoke() == before
    budgets.delete_budget(AccountId=ACCOUNT, BudgetName=infra.stack)
    assert infra("--set", "InvokedEndpoint=other Email=me@example.org") == 0
    assert may_invoke() != before


def test_ctrl_c_says_that_the_cloud_goes_on_and_the_next_run_finds_it_done(
    infra: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled = stacks.states.settled

    def stopped(*given: Any) -> Any:
        # The change set has been executed by now: it is the one call that waits with a condition.
        if len(given) == 3:
            monkeypatch.setattr(stacks.states, "settled", settled)
            raise KeyboardInterrupt
        return settled(*given)

    monkeypatch.setattr(stacks.states, "settled", stopped)
    assert infra() == 130
    assert "the same command again waits for it" in capsys.readouterr().err
    assert infra() == 0
    assert "nothing to change" in capsys.readouterr().out
    assert stack_of(cloud, infra)["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    "operation",
    ["GetCallerIdentity", "DescribeStacks", "CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet"],
)
def test_stopped_after_any_call_the_same_command_again_converges(
    infra: Any, cloud: Any, operation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    def stop(called: str) -> None:
        heard.append(called)
        if called == operation:
            raise KeyboardInterrupt

    cloud.on_call(stop)
    assert infra() == 130
    assert operation in heard
    cloud.forget()
    assert infra() == 0
    assert stack_of(cloud, infra)["StackStatus"] == "CREATE_COMPLETE"
    waiting = cloud.local.client("cloudformation").list_change_sets(StackName=infra.stack)["Summaries"]
    assert [one for one in waiting if one["ExecutionStatus"] == "AVAILABLE"] == []


def test_stopped_while_it_compares_it_leaves_no_stack_behind(infra: Any, cloud: Any) -> None:
    def stop(called: str) -> None:
        if called == "DescribeChangeSet":
            raise KeyboardInterrupt

    cloud.on_call(stop)
    assert infra() == 130
    client = cloud.local.client("cloudformation")
    until(lambda: infra.stack not in [one["StackName"] for one in client.describe_stacks()["Stacks"]], 5)


def test_two_at_once_end_with_one_stack_and_no_error_that_changed_anything(
    infra: Any, cloud: Any, tmp_path: Path
) -> None:
    found: list[int] = []
    one = threading.Thread(target=lambda: found.append(infra()))
    one.start()
    found.append(infra())
    one.join()
    assert 0 in found
    assert infra() == 0
    assert stack_of(cloud, infra)["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def test_credentials_of_another_account_are_refused_before_anything_is_made(
    infra: Any, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infra(account="999999999999") == 1
    error = capsys.readouterr().err
    assert "999999999999" in error and ACCOUNT in error
    stacks_there = cloud.local.client("cloudformation").describe_stacks()["Stacks"]
    assert infra.stack not in [one["StackName"] for one in stacks_there]


def test_an_unknown_setting_is_refused_by_name(infra: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert infra("--set", "Mail=me@example.org") == 1
    assert "'Mail', expected one of DeploymentNames" in capsys.readouterr().err


def test_a_wrong_value_is_refused_in_cloudformation_s_words(
    infra: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infra("--set", "Email=nobody") == 1
    assert "Parameter 'Email' must match pattern" in capsys.readouterr().err


def test_a_stack_for_other_names_is_not_taken_from_them(
    infra: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    infra()
    assert infra(name="rose") == 1
    assert "are for deployments named 'iris'" in capsys.readouterr().err
    assert infra("--set", "DeploymentNames=*", name="rose") == 0
    assert infra() == 0


def test_the_parameters_are_deploy_toml_s_then_those_set_then_those_the_stack_has(tmp_path: Path) -> None:
    config = load(written(tmp_path, "my.bucket"))
    found = parameters(config, {"Amount": "50"}, {"Amount": "20", "Email": "a@b.c", "Gone": "1"})
    assert found == {
        "BucketName": "my.bucket",
        "ExecutionRoleName": "my.bucket-execution",
        "ExecutionRolePath": "/kit/",
        "RepositoryName": "my.bucket/serving",
        "DeploymentNames": "iris",
        "JobNames": "iris",
        "InvokedEndpoint": "iris",
        "Amount": "50",
        "Email": "a@b.c",
    }


def test_a_long_name_s_jobs_are_those_that_begin_with_its_first_characters(tmp_path: Path) -> None:
    config = load(written(tmp_path, "my-bucket", name="a" * 50))
    found = parameters(config, {}, {})
    assert (found["DeploymentNames"], found["JobNames"]) == ("a" * 50, "a" * 36 + "*")


def test_a_bucket_never_takes_over_another_s_stack(tmp_path: Path) -> None:
    config = load(written(tmp_path, "my-bucket"))
    with pytest.raises(CloudError, match="'my-bucket' and 'my.bucket' would share"):
        parameters(config, {}, {"BucketName": "my.bucket"})


def test_every_parameter_of_the_template_is_given_or_can_be_set(tmp_path: Path) -> None:
    text = re.sub(r"!(\w+)", "", TEMPLATE.read_text())
    named = set(yaml.safe_load(text)["Parameters"])
    given = set(parameters(load(written(tmp_path, "my-bucket")), dict.fromkeys(SETTINGS, "iris"), {}))
    assert given == named


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["infra", "--help"])
    assert set(re.findall(r"^  ([A-Z][A-Za-z]+)=", capsys.readouterr().out, re.M)) == set(SETTINGS)


def test_who_has_no_budget_is_told_so(infra: Any, capsys: pytest.CaptureFixture[str]) -> None:
    infra()
    assert "nobody is told when costs rise" in capsys.readouterr().out
    infra("--set", "Email=me@example.org")
    assert "nobody is told" not in capsys.readouterr().out


def test_a_deployment_lives_on_what_the_stack_made(
    infra: Any, cloud: Any, project: Any, asked: Any, deploy: Any
) -> None:
    assert infra(name="on-a-stack") == 0
    place = project("on-a-stack")
    written(place, infra.bucket, "on-a-stack")
    try:
        assert deploy(place) == 0
        assert asked(place) == 2
    finally:
        assert deploy(place, "destroy", "--yes") == 0


def test_what_it_prints_is_a_section_that_deploy_toml_takes(
    infra: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infra()
    printed = capsys.readouterr().out
    lines = printed[printed.index("[aws]") : printed.index("run the verbs")]
    place = tmp_path / "told"
    place.mkdir()
    (place / "deploy.toml").write_text(
        f'name = "iris"\n\n{lines}region = "us-east-1"\ninstance_type = "ml.m7i.large"\n'
    )
    config = load(place)
    assert (config.aws.bucket, config.aws.account) == (infra.bucket, ACCOUNT)
    assert json.dumps(config.aws.scheduler_role).count("ExpiryRole") == 1
