"""The template itself: that it is sound, and that no right in it is wider than it says why."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloudformation import functions, templates
from infra.local.cloudformation.functions import Scope

PATH = Path(__file__).parents[3] / "infra/aws/template.yaml"
TEXT = PATH.read_text()
TEMPLATE = templates.parse(TEXT)
ROLES = [name for name, said in TEMPLATE.resources.items() if said["Type"] == "AWS::IAM::Role"]
PERSONS = {"DeployerRole", "InvokerRole"}  # taken on by people and programs of the account
GIVEN = {"BucketName": "my-bucket", "DeploymentNames": "iris", "JobNames": "iris", "Email": "me@example.org"}
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/slipway-my-bucket/1",
    "AWS::StackName": "slipway-my-bucket",
    "AWS::URLSuffix": "amazonaws.com",
}
ARNS = {
    "Repository": "arn:aws:ecr:us-east-1:123456789012:repository/slipway/serving",
    "ImageBuild": "arn:aws:codebuild:us-east-1:123456789012:project/slipway-my-bucket",
    "ImageBuildLog": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/codebuild/slipway-my-bucket:*",
    "ImageBuildRole": "arn:aws:iam::123456789012:role/slipway-my-bucket-ImageBuildRole-ABCDEFGHIJKL",
    "ExpiryRole": "arn:aws:iam::123456789012:role/slipway-my-bucket-ExpiryRole-ABCDEFGHIJKL",
    "ExecutionRole": "arn:aws:iam::123456789012:role/slipway-execution",
}


def resolved(name: str, **given: str) -> Any:
    """A resource's properties, for a bucket and a deployment."""
    values = templates.values(TEMPLATE, GIVEN | given)
    refer = {"Bucket": values["BucketName"]}
    scope = Scope(PSEUDO | values, lambda one: refer.get(one, one), lambda one, _: ARNS[one], TEMPLATE)
    return functions.resolved(TEMPLATE.resources[name]["Properties"], scope)


def statements(role: str) -> list[Any]:
    """What a role may do."""
    policies = resolved(role)["Policies"]
    return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]


def every_statement() -> Iterator[Any]:
    for role in ROLES:
        for statement in statements(role):
            yield pytest.param(role, statement, id=f"{role}-{statement['Sid']}")


EVERY_STATEMENT = list(every_statement())


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_cfn_lint_finds_nothing_to_say() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([lint, "--", PATH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_fits_into_one_request() -> None:
    # Source: the CloudFormation API's CreateChangeSet, TemplateBody.
    assert len(TEXT.encode()) <= 51_200


def test_no_policy_of_aws_s_own_is_attached() -> None:
    assert "ManagedPolicyArns" not in TEXT and "FullAccess" not in TEXT


def test_every_star_that_stands_for_all_says_why_beside_it() -> None:
    stars = [line for line in TEXT.splitlines() if re.search(r'(Resource|Action|Principal):.*[": ]\*"', line)]
    unexplained = [line for line in stars if not re.search(r'"  # [a-zA-Z].{5,}$', line)]
    assert len(stars) > 5
    assert unexplained == []


@pytest.mark.parametrize("role, statement", EVERY_STATEMENT)
def test_an_action_is_named_in_full(role: str, statement: Any) -> None:
    assert [
        one for one in as_list(statement["Action"]) if not re.fullmatch("[a-z0-9-]+:[A-Za-z]+", one)
    ] == []
    assert statement["Effect"] == "Allow" and not {"NotAction", "NotResource"} & statement.keys()


@pytest.mark.parametrize("role, statement", EVERY_STATEMENT)
def test_a_resource_is_of_this_account_and_region_and_names_what_it_is(role: str, statement: Any) -> None:
    for resource in as_list(statement["Resource"]):
        if resource == "*" or statement["Sid"] == "PullImage":
            continue
        arn = resource.split(":", 5)
        assert arn[3] in {"us-east-1", ""} and arn[4] in {"123456789012", ""}, resource
        assert not arn[5].startswith("*"), resource


@pytest.mark.parametrize("role", ROLES)
def test_sids_are_there_and_tell_statements_apart(role: str) -> None:
    sids = [statement["Sid"] for statement in statements(role)]
    assert len(sids) == len(set(sids)) and all(re.fullmatch("[A-Za-z]+", sid) for sid in sids)


@pytest.mark.parametrize("role", sorted(set(ROLES) - PERSONS))
def test_a_service_takes_a_role_on_for_this_account_s_own_doing_alone(role: str) -> None:
    (trust,) = resolved(role)["AssumeRolePolicyDocument"]["Statement"]
    assert set(trust["Principal"]) == {"Service"} and isinstance(trust["Principal"]["Service"], str)
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    source = trust["Condition"]["ArnLike"]["aws:SourceArn"]
    service = trust["Principal"]["Service"].split(".")[0]
    assert source.startswith(f"arn:aws:{service}:us-east-1:123456789012:")


@pytest.mark.parametrize("role", sorted(PERSONS))
def test_a_person_s_role_is_the_account_s_to_lend(role: str) -> None:
    (trust,) = resolved(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_a_role_is_passed_to_one_service_each() -> None:
    passed = [one for role in ROLES for one in statements(role) if "iam:PassRole" in as_list(one["Action"])]
    told = {one["Resource"]: one["Condition"]["StringEquals"]["iam:PassedToService"] for one in passed}
    assert told == {
        ARNS["ExecutionRole"]: "sagemaker.amazonaws.com",
        ARNS["ExpiryRole"]: "scheduler.amazonaws.com",
    }
    assert all(as_list(one["Action"]) == ["iam:PassRole"] for one in passed)


def test_nobody_here_may_change_rights() -> None:
    actions = {action for role in ROLES for one in statements(role) for action in as_list(one["Action"])}
    assert {action for action in actions if action.startswith(("iam:", "sts:"))} == {
        "iam:PassRole",
        "iam:CreateServiceLinkedRole",
    }


def test_the_invoker_invokes_one_endpoint_and_does_nothing_else() -> None:
    (only,) = statements("InvokerRole")
    assert set(only["Action"]) == {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}
    invoked = resolved("InvokerRole", InvokedEndpoint="iris")["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert invoked["Resource"] == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/iris"


def test_no_container_may_replace_what_containers_run() -> None:
    written = [
        resource
        for one in statements("ExecutionRole")
        if {"s3:PutObject", "s3:DeleteObject"} & set(as_list(one["Action"]))
        for resource in as_list(one["Resource"])
    ]
    model = "arn:aws:s3:::my-bucket/iris/3f9a0c12b7de/model.tar.gz"
    patterns = [re.escape(one).replace(r"\*", ".*") for one in written]
    assert written and not [one for one in patterns if re.fullmatch(one, model)]


def test_the_bucket_is_private_encrypted_versioned_and_spoken_to_by_tls_alone() -> None:
    bucket, (policy,) = resolved("Bucket"), resolved("BucketPolicy")["PolicyDocument"]["Statement"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert (policy["Effect"], policy["Principal"]) == ("Deny", "*")
    assert policy["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert policy["Resource"] == ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"]


@pytest.mark.parametrize("kept", ["Bucket", "BucketPolicy", "Repository"])
def test_what_holds_models_outlives_the_stack_but_not_a_creation_that_failed(kept: str) -> None:
    assert TEMPLATE.resources[kept]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert TEMPLATE.resources[kept]["UpdateReplacePolicy"] == "Retain"


def test_images_that_endpoints_need_are_not_overwritten_nor_soon_gone() -> None:
    repository = resolved("Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    tagged = [rule["selection"] for rule in rules if rule["selection"]["tagStatus"] != "untagged"]
    assert [one["countNumber"] for one in tagged] == [100]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_s_policies_fit_even_with_the_longest_names(role: str) -> None:
    # Source: docs.aws.amazon.com/IAM, "IAM and AWS STS quotas": 10,240 characters without white space.
    longest = {"BucketName": "b" * 63, "DeploymentNames": "n" * 50, "JobNames": "n" * 36 + "*"}
    policies = resolved(role, **longest)["Policies"]
    text = "".join(json.dumps(policy["PolicyDocument"]) for policy in policies)
    assert len(re.sub(r"\s", "", text)) <= 10_240


def test_nothing_of_somebody_s_is_written_into_it() -> None:
    # 763104351884 is AWS's own account, of whose images some may be pulled.
    assert set(re.findall(r"[0-9]{12}", TEXT)) == {"763104351884"}
    assert "us-east-1" not in TEXT
