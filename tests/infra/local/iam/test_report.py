"""What `permissions` tells: calls that were refused, and rights that nobody used."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.iam import report
from infra.local.iam.ledger import MOST, Ledger
from infra.local.iam.policies import Decision, Demand

ROOT = Path(__file__).parents[4]
ROLE = "arn:aws:iam::123456789012:role/path/deployer"
ADMINISTRATOR = "arn:aws:iam::123456789012:user/administrator"
STATEMENTS = [
    {"Sid": "Both", "Effect": "Allow", "Action": ["s3:Get*", "s3:Put*"], "Resource": ["arn:aws:s3:::a/*"]},
    {"Sid": "Two", "Effect": "Allow", "Action": "s3:List*", "Resource": ["arn:aws:s3:::a", "arn:aws:s3:::b"]},
    {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
    {"Sid": "No", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"},
]


def told(*uses):
    """What is told of a role with these statements; each use has a principal, action, resource and answer."""
    ledger = Ledger()
    for principal, action, resource, allowed in uses:
        why = "" if allowed else f"because no identity-based policy allows the {action} action"
        ledger.note(principal, Demand(action, resource), Decision(allowed, why))
    numbered = enumerate(STATEMENTS, start=1)
    statements = [{"policy": "p", "number": number, "body": body} for number, body in numbered]
    return {"uses": ledger.as_json(), "roles": [{"arn": ROLE, "statements": statements}]}


def test_a_refused_call_is_listed_once_with_who_and_why():
    found = told(
        *[(ROLE, "iam:PassRole", "arn:x", False)] * 3, (ROLE, "s3:GetObject", "arn:aws:s3:::a/k", True)
    )
    assert report.refused(found) == [
        "role/path/deployer: iam:PassRole on arn:x "
        "because no identity-based policy allows the iam:PassRole action"
    ]


def test_rights_that_were_not_used_are_listed_by_statement():
    found = told(
        (ROLE, "s3:GetObject", "arn:aws:s3:::a/k", True),
        (ROLE, "s3:ListBucket", "arn:aws:s3:::b", True),
        (ADMINISTRATOR, "logs:DescribeLogGroups", "*", True),
    )
    assert report.unused(found) == [
        "role/path/deployer: p/Both: s3:Put*",
        "role/path/deployer: p/Two: arn:aws:s3:::a",
        "role/path/deployer: p/#3: nothing of it",
    ]


def test_a_role_in_which_nobody_acted_is_one_line():
    assert report.unused(told()) == ["role/path/deployer: nobody acted in this role"]


def test_what_was_done_without_a_role_is_held_against_one():
    found = told(
        (ADMINISTRATOR, "s3:GetObject", "arn:aws:s3:::a/k", True),
        (ADMINISTRATOR, "s3:GetObject", "arn:aws:s3:::c/k", True),
        (ROLE, "s3:GetObject", "arn:aws:s3:::c/k", False),
    )
    expected = [
        "s3:GetObject on arn:aws:s3:::c/k because no identity-based policy allows the s3:GetObject action"
    ]
    assert report.refused_to(found, "deployer") == report.refused_to(found, ROLE) == expected
    with pytest.raises(KeyError):
        report.refused_to(found, "nobody")


def test_a_flood_of_one_action_leaves_room_for_the_others():
    ledger = Ledger()
    for number in range(MOST + 10):
        ledger.note(ROLE, Demand("s3:GetObject", f"arn:aws:s3:::a/{number}"), Decision(True, ""))
    ledger.note(ROLE, Demand("s3:PutObject", "arn:aws:s3:::a/k"), Decision(True, ""))
    assert len(ledger.as_json()) == MOST + 1


def permissions(cloud, *words):
    command = [sys.executable, "-m", "infra.local", "permissions", *words]
    return subprocess.run(command, env=cloud.shell, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_command_lists_what_the_local_cloud_was_asked(local_cloud, acting):
    someone = acting({"Sid": "List", "Effect": "Allow", "Action": "sagemaker:List*", "Resource": "*"})
    someone.client("sagemaker").list_models()
    with pytest.raises(Exception, match="AccessDenied"):
        someone.client("sagemaker").describe_model(ModelName="m")
    local_cloud.client("sagemaker").list_endpoint_configs()
    local_cloud.client("ecr").describe_repositories()
    done = permissions(local_cloud, "--as", someone.name)
    refused, _, rest = done.stdout.partition("calls made without a role")
    against, _, unused = rest.partition("permissions allowed but never used")
    assert f"  role/{someone.name}: sagemaker:DescribeModel on arn:aws:sagemaker:" in refused
    assert f"that {someone.name} may not make" in against
    assert "ecr:DescribeRepositories" in against
    assert "sagemaker:ListEndpointConfigs" not in against
    assert f"role/{someone.name}:" not in unused
    assert (done.returncode, done.stderr) == (0, "")


def test_a_role_that_is_not_there_is_said_so(local_cloud):
    done = permissions(local_cloud, "--as", "nobody-at-all")
    assert (done.returncode, done.stderr) == (
        1,
        "error: --as nobody-at-all: there is no such role in the account\n",
    )
