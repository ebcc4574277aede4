"""The local cloud's CloudFormation: what a stack says it made is there, asked of each service itself."""

import json
import shutil
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import until

ACCOUNT = "123456789012"
KIT = Path(__file__).parents[3]
TEMPLATE = (KIT / "infra/aws/template.yaml").read_text()
NAMED = ["CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True)
class Stacks:
    """A test's stack, and what it takes to change it."""

    client: Any
    name: str

    def draft(self, template: str, kind: str, **parameters: str) -> Any:
        """A change set, as DescribeChangeSet has it."""
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"c-{uuid.uuid4()}",
            ChangeSetType=kind,
            TemplateBody=template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=NAMED,
        )
        return self.client.describe_change_set(ChangeSetName=made["Id"])

    def change(self, template: str, kind: str, **parameters: str) -> Any:
        """The stack after its change."""
        self.client.execute_change_set(ChangeSetName=self.draft(template, kind, **parameters)["ChangeSetId"])
        until(lambda: not self.described["StackStatus"].endswith("_IN_PROGRESS"), 30)
        return self.described

    @property
    def described(self) -> Any:
        return self.client.describe_stacks(StackName=self.name)["Stacks"][0]

    def events(self) -> list[tuple[str, str]]:
        """Who, and what happened, from the first on."""
        found = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return [(one["LogicalResourceId"], one["ResourceStatus"]) for one in reversed(found)]

    def delete(self) -> None:
        stack = self.described["StackId"]
        self.client.delete_stack(StackName=stack)
        states = ("DELETE_COMPLETE", "DELETE_FAILED")
        until(lambda: self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] in states, 30)


@pytest.fixture
def stacks(local_cloud: Any, request: pytest.FixtureRequest) -> Stacks:
    """A stack of the test's own, which is not there yet."""
    name = f"stack-{zlib.crc32(request.node.name.encode()):08x}"
    return Stacks(local_cloud.client("cloudformation"), name)


@pytest.fixture(scope="module")
def made(local_cloud: Any) -> Iterator[dict[str, str]]:
    """The whole of infra/aws: its outputs, and its parameters."""
    stack = Stacks(local_cloud.client("cloudformation"), "slipway-whole")
    given = {
        "BucketName": "whole-bucket",
        "ExecutionRoleName": "whole-execution",
        "RepositoryName": "whole/serving",
        "DeploymentNames": "iris",
        "JobNames": "iris",
        "InvokedEndpoint": "iris",
        "Email": "me@example.org",
        "Amount": "20",
        "LogDays": "14",
    }
    done = stack.change(TEMPLATE, "CREATE", **given)
    assert done["StackStatus"] == "CREATE_COMPLETE", stack.events()
    yield {one["OutputKey"]: one["OutputValue"] for one in done["Outputs"]}


BUCKET = """\
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {{BucketName: {name}}}
"""
GROUP = """\
  Group:
    Type: AWS::Logs::LogGroup
    DependsOn: Bucket
    Properties: {{LogGroupName: {name}, RetentionInDays: {days}}}
"""


def written(template: str, name: str, days: int = 7) -> str:
    return f"Resources:\n{template}".format(name=name, days=days)


def test_the_bucket_has_what_the_template_says(local_cloud: Any, made: dict[str, str]) -> None:
    s3, bucket = local_cloud.client("s3"), made["Bucket"]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and set(blocked.values()) == {True}
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    ownership = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (policy,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (policy["Effect"], policy["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert policy["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]


def test_the_bucket_s_leftovers_end(local_cloud: Any, made: dict[str, str]) -> None:
    found = local_cloud.client("s3").get_bucket_lifecycle_configuration(Bucket=made["Bucket"])["Rules"]
    rules = {rule["ID"]: rule for rule in found}
    assert all(rule["Status"] == "Enabled" for rule in found)
    assert rules["uploads-cut-off"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}
    assert rules["overwritten-and-deleted"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["overwritten-and-deleted"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert rules["image-builds"]["Filter"] == {"Prefix": "_builds/"}
    assert rules["image-builds"]["Expiration"] == {"Days": 7}


@pytest.mark.parametrize("output, service", [("ExecutionRole", "sagemaker"), ("ExpiryRole", "scheduler")])
def test_a_service_s_role_trusts_it_for_this_account(
    local_cloud: Any, made: dict[str, str], output: str, service: str
) -> None:
    role = local_cloud.client("iam").get_role(RoleName=made[output].rpartition("/")[2])["Role"]
    assert role["Arn"] == made[output]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"].startswith(
        f"arn:aws:{service}:us-east-1:{ACCOUNT}:"
    )


def policies(local_cloud: Any, role: str) -> dict[str, list[Any]]:
    iam, name = local_cloud.client("iam"), role.rpartition("/")[2]
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    found = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = (iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in found)
    return dict(zip(found, (document["Statement"] for document in documents), strict=True))


def test_the_roles_have_their_policies_filled_in(local_cloud: Any, made: dict[str, str]) -> None:
    deployer = policies(local_cloud, made["DeployerRole"])
    assert set(deployer) == {"files", "endpoints", "jobs", "images", "guardrails"}
    passed = [one for one in deployer["endpoints"] if one["Action"] == "iam:PassRole"]
    assert [one["Resource"] for one in passed] == [made["ExecutionRole"]]
    lent = [one for one in deployer["guardrails"] if one["Action"] == "iam:PassRole"]
    assert [one["Resource"] for one in lent] == [made["ExpiryRole"]]
    (built,) = [one for one in deployer["images"] if one["Sid"] == "BuildImage"]
    assert built["Resource"] == f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/{made['ImageBuild']}"
    (invoker,) = policies(local_cloud, made["InvokerRole"])["one-endpoint"]
    assert invoker["Resource"] == f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/iris"
    everything = json.dumps([deployer, policies(local_cloud, made["ExecutionRole"])])
    assert "${" not in everything and "Fn::" not in everything and '"Ref"' not in everything


def test_the_registry_keeps_tags_and_scans(local_cloud: Any, made: dict[str, str]) -> None:
    ecr = local_cloud.client("ecr")
    (there,) = ecr.describe_repositories(repositoryNames=["whole/serving"])["repositories"]
    assert there["repositoryUri"] == made["Repository"]
    assert there["imageTagMutability"] == "IMMUTABLE"
    assert there["imageScanningConfiguration"] == {"scanOnPush": True}
    assert there["encryptionConfiguration"]["encryptionType"] == "AES256"
    rules = json.loads(ecr.get_lifecycle_policy(repositoryName="whole/serving")["lifecyclePolicyText"])[
        "rules"
    ]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged", "any"]


def test_the_build_project_builds_as_its_own_role_into_its_own_log(
    local_cloud: Any, made: dict[str, str]
) -> None:
    client = local_cloud.client("codebuild")
    (project,) = client.batch_get_projects(names=[made["ImageBuild"]])["projects"]
    assert (project["timeoutInMinutes"], project["queuedTimeoutInMinutes"]) == (60, 60)
    assert project["environment"]["privilegedMode"] is True
    variables = {one["name"]: one["value"] for one in project["environment"]["environmentVariables"]}
    assert variables["REPOSITORY"] == "whole/serving"
    assert made["Repository"] == f"{variables['REGISTRY']}/whole/serving"
    assert project["source"]["location"] == "whole-bucket/_builds/context.zip"
    assert "docker push" in project["source"]["buildspec"]
    group = project["logsConfig"]["cloudWatchLogs"]["groupName"]
    (log,) = local_cloud.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert (log["logGroupName"], log["retentionInDays"]) == ("/aws/codebuild/slipway-whole", 14)
    builder = policies(local_cloud, project["serviceRole"])["image-build"]
    pushed = [one for one in builder if "ecr:PutImage" in one["Action"]]
    assert [one["Resource"] for one in pushed] == [
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/whole/serving"
    ]


def test_the_budget_tells_somebody(local_cloud: Any, made: dict[str, str]) -> None:
    budgets, whose = local_cloud.client("budgets"), {"AccountId": ACCOUNT, "BudgetName": "slipway-whole"}
    budget = budgets.describe_budget(**whose)["Budget"]
    assert (budget["TimeUnit"], budget["BudgetType"]) == ("MONTHLY", "COST")
    assert (float(budget["BudgetLimit"]["Amount"]), budget["BudgetLimit"]["Unit"]) == (20, "USD")
    told = budgets.describe_notifications_for_budget(**whose)["Notifications"]
    assert {(one["NotificationType"], one["Threshold"]) for one in told} == {
        ("ACTUAL", 80.0),
        ("FORECASTED", 100.0),
    }


def test_without_an_address_there_is_no_budget(local_cloud: Any, stacks: Stacks) -> None:
    given = {"BucketName": stacks.name, "ExecutionRoleName": stacks.name, "RepositoryName": stacks.name}
    assert stacks.change(TEMPLATE, "CREATE", **given)["StackStatus"] == "CREATE_COMPLETE"
    names = [
        one["BudgetName"]
        for one in local_cloud.client("budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"]
    ]
    assert stacks.name not in names
    assert "Budget" not in dict(stacks.events())


def test_an_update_changes_what_differs_alone(local_cloud: Any, stacks: Stacks) -> None:
    stacks.change(written(BUCKET + GROUP, stacks.name, 7), "CREATE")
    second = written(BUCKET + GROUP, stacks.name, 30)
    draft = stacks.draft(second, "UPDATE")
    (change,) = [one["ResourceChange"] for one in draft["Changes"]]
    assert (change["Action"], change["LogicalResourceId"], change["Replacement"]) == (
        "Modify",
        "Group",
        "False",
    )
    assert [one["Target"]["Name"] for one in change["Details"]] == ["RetentionInDays"]
    assert stacks.change(second, "UPDATE")["StackStatus"] == "UPDATE_COMPLETE"
    (log,) = local_cloud.client("logs").describe_log_groups(logGroupNamePrefix=stacks.name)["logGroups"]
    assert log["retentionInDays"] == 30


def test_the_same_again_is_a_change_set_without_changes(stacks: Stacks) -> None:
    stacks.change(written(BUCKET, stacks.name), "CREATE")
    draft = stacks.draft(written(BUCKET, stacks.name), "UPDATE")
    assert (draft["Status"], draft["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in draft["StatusReason"]
    with pytest.raises(ClientError, match="cannot be executed"):
        stacks.client.execute_change_set(ChangeSetName=draft["ChangeSetId"])


def test_another_name_is_another_resource_and_the_old_one_goes_last(local_cloud: Any, stacks: Stacks) -> None:
    stacks.change(written(BUCKET + GROUP, stacks.name), "CREATE")
    draft = stacks.draft(written(BUCKET + GROUP, f"{stacks.name}-b"), "UPDATE")
    replaced = {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"] for one in draft["Changes"]}
    assert {one["Replacement"] for one in replaced.values()} == {"True"}
    before = len(stacks.events())
    stacks.change(written(BUCKET + GROUP, f"{stacks.name}-b"), "UPDATE")
    states = stacks.events()[before:]
    cleaning = states.index((stacks.name, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"))
    assert (
        states.index(("Bucket", "DELETE_COMPLETE")) > cleaning > states.index(("Bucket", "CREATE_COMPLETE"))
    )
    logs = local_cloud.client("logs").describe_log_groups(logGroupNamePrefix=stacks.name)["logGroups"]
    assert [log["logGroupName"] for log in logs] == [f"{stacks.name}-b"]


def test_a_creation_that_fails_is_rolled_back_with_the_service_s_own_words(
    local_cloud: Any, stacks: Stacks
) -> None:
    logs, s3 = local_cloud.client("logs"), local_cloud.client("s3")
    logs.create_log_group(logGroupName=stacks.name)
    done = stacks.change(written(BUCKET + GROUP, stacks.name), "CREATE")
    assert done["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.events() == [
        (stacks.name, "REVIEW_IN_PROGRESS"),
        (stacks.name, "CREATE_IN_PROGRESS"),
        ("Bucket", "CREATE_IN_PROGRESS"),
        ("Bucket", "CREATE_COMPLETE"),
        ("Group", "CREATE_IN_PROGRESS"),
        ("Group", "CREATE_FAILED"),
        (stacks.name, "ROLLBACK_IN_PROGRESS"),
        ("Bucket", "DELETE_IN_PROGRESS"),
        ("Bucket", "DELETE_COMPLETE"),
        (stacks.name, "ROLLBACK_COMPLETE"),
    ]
    found = stacks.client.describe_stack_events(StackName=stacks.name)["StackEvents"]
    (reason,) = [one["ResourceStatusReason"] for one in found if one["ResourceStatus"] == "CREATE_FAILED"]
    assert "already exists" in reason and "HandlerErrorCode: AlreadyExists" in reason
    assert stacks.name not in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError, match="can not be updated|does not exist"):
        stacks.draft(written(BUCKET, stacks.name), "UPDATE")


def test_an_update_that_fails_puts_back_what_it_had_changed(local_cloud: Any, stacks: Stacks) -> None:
    stacks.change(written(BUCKET, stacks.name), "CREATE")
    local_cloud.client("logs").create_log_group(logGroupName=stacks.name)
    versioned = BUCKET.replace("{name}", "{name}, VersioningConfiguration: {{Status: Enabled}}")
    done = stacks.change(written(versioned + GROUP, stacks.name), "UPDATE")
    assert done["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Bucket", "UPDATE_COMPLETE") in stacks.events()
    assert local_cloud.client("s3").get_bucket_versioning(Bucket=stacks.name)["Status"] == "Suspended"


def test_deletion_takes_all_away_but_what_is_to_stay(local_cloud: Any, stacks: Stacks) -> None:
    kept = BUCKET.replace("    Properties", "    DeletionPolicy: Retain\n    Properties")
    stacks.change(written(kept + GROUP, stacks.name), "CREATE")
    stack = stacks.described["StackId"]
    stacks.delete()
    assert stacks.client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        stacks.client.describe_stacks(StackName=stacks.name)
    assert local_cloud.client("logs").describe_log_groups(logGroupNamePrefix=stacks.name)["logGroups"] == []
    assert stacks.name in [one["Name"] for one in local_cloud.client("s3").list_buckets()["Buckets"]]


def test_a_bucket_that_is_not_empty_is_not_deleted_and_the_stack_says_so(
    local_cloud: Any, stacks: Stacks
) -> None:
    stacks.change(written(BUCKET, stacks.name), "CREATE")
    local_cloud.client("s3").put_object(Bucket=stacks.name, Key="a", Body=b"1")
    stacks.delete()
    assert stacks.described["StackStatus"] == "DELETE_FAILED"
    assert ("Bucket", "DELETE_FAILED") in stacks.events()


@pytest.mark.parametrize(
    "template, refusal",
    [
        ("  Topic: {Type: 'AWS::SNS::Topic'}", "does not make AWS::SNS::Topic"),
        (
            "  Bucket: {Type: 'AWS::S3::Bucket', Properties: {WebsiteConfiguration: {}}}",
            "does not do AWS::S3::Bucket's WebsiteConfiguration",
        ),
        ("  Bucket: {Properties: {}}", "must contain a Type member"),
        ("  A: {Type: 'AWS::S3::Bucket', Properties: {BucketName: !Ref B}}", r"dependencies \[B\]"),
        (
            "  A: {Type: 'AWS::S3::Bucket', Properties: {BucketName: !ImportValue b}}",
            "does not know Fn::Import",
        ),
        (
            "  A: {Type: 'AWS::S3::Bucket', DependsOn: B}\n  B: {Type: 'AWS::S3::Bucket', DependsOn: A}",
            "Circular dependency",
        ),
    ],
)
def test_what_is_not_done_here_is_refused_and_never_counted_as_made(
    stacks: Stacks, template: str, refusal: str
) -> None:
    with pytest.raises(ClientError, match=refusal):
        stacks.draft(f"Resources:\n{template}", "CREATE")
    with pytest.raises(ClientError, match="does not exist"):
        _ = stacks.described


@pytest.mark.parametrize(
    "parameters, refusal",
    [
        ({}, r"Parameters: \[BucketName\] must have values"),
        ({"BucketName": "UPPER"}, "Parameter 'BucketName' must match pattern"),
        ({"BucketName": "abc", "Amount": "0"}, "must be a number not less than 1"),
        ({"BucketName": "abc", "LogDays": "8"}, "must be one of AllowedValues"),
        ({"BucketName": "abc", "Other": "1"}, r"Parameters: \[Other\] do not exist in the template"),
    ],
)
def test_parameters_are_held_against_the_template(
    stacks: Stacks, parameters: dict[str, str], refusal: str
) -> None:
    with pytest.raises(ClientError, match=refusal):
        stacks.draft(TEMPLATE, "CREATE", **parameters)


def test_roles_are_made_for_who_says_that_they_may_be(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="Requires capabilities") as refused:
        stacks.client.create_change_set(
            StackName=stacks.name,
            ChangeSetName="one",
            ChangeSetType="CREATE",
            TemplateBody=TEMPLATE,
            Parameters=[{"ParameterKey": "BucketName", "ParameterValue": stacks.name}],
        )
    assert refused.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"


def test_what_is_not_an_operation_here_is_no_success(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="does not do DetectStackDrift"):
        stacks.client.detect_stack_drift(StackName=stacks.name)


def test_the_command_line_of_aws_drafts_a_stack(local_cloud: Any, stacks: Stacks, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(written(BUCKET, stacks.name))
    aws = shutil.which("aws", path=str(Path(sys.executable).parent))
    assert aws
    # Without --no-execute-changeset it looks again after half a minute.
    command = [aws, "cloudformation", "deploy", "--no-execute-changeset", "--stack-name", stacks.name]
    command += ["--template-file", str(tmp_path / "template.yaml")]
    done = subprocess.run(command, env=local_cloud.shell, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (waiting,) = stacks.client.list_change_sets(StackName=stacks.name)["Summaries"]
    assert waiting["ExecutionStatus"] == "AVAILABLE"


def test_the_same_name_in_another_region_or_account_is_another_stack(
    local_cloud: Any, stacks: Stacks
) -> None:
    stacks.change(written(BUCKET, stacks.name), "CREATE")
    for place in ({"region": "eu-west-1"}, {"account": "111122223333"}):
        with pytest.raises(ClientError, match="does not exist"):
            local_cloud.client("cloudformation", **place).describe_stacks(StackName=stacks.name)


@pytest.fixture
def provisioned(start_cloud: Callable[..., Any], tmp_path: Path) -> Any:
    """A local cloud in which `env --project` has made what a deploy.toml names."""
    (tmp_path / "deploy.toml").write_text(
        'name = "iris"\n\n[aws]\nregion = "us-east-1"\nbucket = "made-before"\n'
        f'role = "arn:aws:iam::{ACCOUNT}:role/made-before"\n'
    )
    cloud = start_cloud()
    command = [sys.executable, "-m", "infra.local", "env", "--project", str(tmp_path)]
    subprocess.run(command, cwd=KIT, env=cloud.shell, check=True, capture_output=True)
    return cloud


def test_what_was_made_for_want_of_a_stack_is_taken_over_with_its_objects(provisioned: Any) -> None:
    s3, iam = provisioned.client("s3"), provisioned.client("iam")
    s3.put_object(Bucket="made-before", Key="iris/a", Body=b"1")
    stack = Stacks(provisioned.client("cloudformation"), "slipway-made-before")
    done = stack.change(TEMPLATE, "CREATE", BucketName="made-before", ExecutionRoleName="made-before")
    assert done["StackStatus"] == "CREATE_COMPLETE"
    assert s3.get_object(Bucket="made-before", Key="iris/a")["Body"].read() == b"1"
    assert s3.get_bucket_versioning(Bucket="made-before")["Status"] == "Enabled"
    assert iam.list_role_policies(RoleName="made-before")["PolicyNames"] == ["containers"]
    # Once it is the stack's, another stack finds it there.
    other = Stacks(provisioned.client("cloudformation"), "other")
    assert other.change(written(BUCKET, "made-before"), "CREATE")["StackStatus"] == "ROLLBACK_COMPLETE"
