"""What policies allow: AWS's evaluation, by small policies and demands."""

import json
import urllib.parse

import pytest

from infra.local.iam import policies
from infra.local.iam.policies import Demand, Rights, Who

BUCKET = "arn:aws:s3:::models"
READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": f"{BUCKET}/*"}
SECRET = {"Sid": "Secret", "Effect": "Deny", "Action": "s3:*", "Resource": f"{BUCKET}/secret/*"}
ROLE = "arn:aws:iam::123456789012:role/deployer"
SESSION = Who("arn:aws:sts::123456789012:assumed-role/deployer/me", ROLE, "123456789012")


def policy(*statements):
    return policies.parse("p", {"Version": "2012-10-17", "Statement": list(statements)})


def allowed(statement, action="s3:GetObject", resource=f"{BUCKET}/a", **context):
    found = {name.replace("__", ":"): (value,) for name, value in context.items()}
    return policies.decide(Rights((policy(statement),)), Demand(action, resource, found), SESSION).allowed


def test_nothing_is_allowed_that_no_statement_allows():
    decision = policies.decide(Rights(), Demand("s3:GetObject", f"{BUCKET}/a"), SESSION)
    assert not decision.allowed
    assert decision.why == "because no identity-based policy allows the s3:GetObject action"


def test_what_a_statement_allows_is_allowed_and_the_statement_is_named():
    decision = policies.decide(Rights((policy(READ),)), Demand("s3:GetObject", f"{BUCKET}/a"), SESSION)
    assert (decision.allowed, decision.by) == (True, "p/Read")


@pytest.mark.parametrize("order", [(READ, SECRET), (SECRET, READ)])
def test_a_deny_wins_over_every_allow(order):
    rights = Rights((policy(*order),))
    decision = policies.decide(rights, Demand("s3:GetObject", f"{BUCKET}/secret/a"), SESSION)
    assert (decision.allowed, decision.by) == (False, "p/Secret")
    assert decision.why == "with an explicit deny in an identity-based policy"
    assert policies.decide(rights, Demand("s3:GetObject", f"{BUCKET}/a"), SESSION).allowed


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("s3:GetObject", f"{BUCKET}/deep/a", True),
        ("S3:GETOBJECT", f"{BUCKET}/a", True),
        ("s3:PutObject", f"{BUCKET}/a", False),
        ("s3:GetObject", BUCKET, False),
        ("s3:GetObject", f"{BUCKET}-of-others/a", False),
        ("s3:GetObject", "arn:aws:s3:::MODELS/a", False),
    ],
)
def test_actions_are_read_in_any_case_and_resources_as_they_are(action, resource, expected):
    assert allowed(READ, action, resource) is expected


def test_not_action_and_not_resource_mean_all_others():
    all_but_deleting = {"Effect": "Allow", "NotAction": ["s3:Delete*"], "NotResource": f"{BUCKET}/secret/*"}
    assert allowed(all_but_deleting)
    assert allowed(all_but_deleting, "sagemaker:CreateModel", "*")
    assert not allowed(all_but_deleting, "s3:DeleteObject")
    assert not allowed(all_but_deleting, resource=f"{BUCKET}/secret/a")


def test_a_wildcard_does_not_reach_into_the_next_part_of_an_arn():
    one_region = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:sagemaker:eu-*:model/*"}
    assert not allowed(one_region, "x:Y", "arn:aws:sagemaker:eu-west-1:123456789012:model/a")
    last_part = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:logs:*:*:log-group:/aws/*"}
    assert allowed(last_part, "x:Y", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/a:log-stream:b")


def test_a_variable_stands_for_the_caller_s_own_and_its_wildcards_for_themselves():
    own = {"Effect": "Allow", "Action": "s3:*", "Resource": BUCKET + "/${aws:username}/*"}
    assert allowed(own, resource=f"{BUCKET}/ann/a", aws__username="ann")
    assert not allowed(own, resource=f"{BUCKET}/bob/a", aws__username="ann")
    assert not allowed(own, resource=f"{BUCKET}/bob/a", aws__username="*")
    assert not allowed(own, resource=f"{BUCKET}//a")


def test_a_boundary_allows_nothing_by_itself_and_bounds_what_is_allowed():
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    demand = Demand("s3:PutObject", f"{BUCKET}/a")
    assert policies.decide(Rights((everything,)), demand, SESSION).allowed
    bounded = policies.decide(Rights((everything,), bounds=(policy(READ),)), demand, SESSION)
    assert (bounded.allowed, "permissions boundary" in bounded.why) == (False, True)
    assert not policies.decide(Rights((), bounds=(everything,)), demand, SESSION).allowed


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": SESSION.arn}, True),
        ({"AWS": ["arn:aws:iam::123456789012:root"]}, True),
        ({"AWS": "123456789012"}, True),
        ({"AWS": "arn:aws:iam::999999999999:root"}, False),
        ({"AWS": ROLE + "s"}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
    ],
)
def test_a_bucket_s_policy_is_for_those_whom_it_names(principal, expected):
    rights = Rights(resource=(policy({**READ, "Principal": principal}),))
    assert policies.decide(rights, Demand("s3:GetObject", f"{BUCKET}/a"), SESSION).allowed is expected


def test_a_role_is_assumed_by_whom_its_trust_policy_names():
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    )
    demand = Demand("sts:AssumeRole", ROLE, {"aws:sourceaccount": ("123456789012",)})
    assert policies.trusting(trust, demand, Who(service="sagemaker.amazonaws.com"))
    assert not policies.trusting(trust, demand, Who(service="scheduler.amazonaws.com"))
    assert not policies.trusting(trust, demand, SESSION)
    other = Demand("sts:AssumeRole", ROLE, {"aws:sourceaccount": ("999999999999",)})
    assert not policies.trusting(trust, other, Who(service="sagemaker.amazonaws.com"))


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        ({"Condition": {"StringSomehow": {"aws:username": "a"}}}, "StringSomehow"),
        ({"Condition": {"StringEquals": {"aws:Weather": "fine"}}}, "aws:Weather"),
        ({"Condition": {"StringEquals": {"aws:username": "${aws:Weather}"}}}, "aws:weather"),
        ({"Mood": "good"}, "Mood"),
    ],
)
def test_what_is_not_known_refuses_and_is_named(unknown, named):
    allowing = policies.decide(
        Rights((policy({**READ, **unknown}),)), Demand("s3:GetObject", f"{BUCKET}/a"), SESSION
    )
    assert not allowing.allowed
    assert "the local cloud does not know" in allowing.why
    assert named in allowing.why
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    denying = policy({**READ, **unknown, "Effect": "Deny"})
    rights = Rights((everything, denying))
    denied = policies.decide(rights, Demand("s3:GetObject", f"{BUCKET}/a"), SESSION)
    assert (denied.allowed, named in denied.why) == (False, True)
    assert policies.decide(rights, Demand("s3:PutObject", f"{BUCKET}/a"), SESSION).allowed


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"Statement": 3}', "no JSON"])
def test_a_policy_that_cannot_be_read_denies_everything(document):
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    rights = Rights((everything, policies.parse("odd", document)))
    decision = policies.decide(rights, Demand("s3:GetObject", f"{BUCKET}/a"), SESSION)
    assert (decision.allowed, decision.by.startswith("odd/unreadable")) == (False, True)


def test_a_document_may_be_percent_encoded_as_iam_hands_it_out():
    written = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    assert policies.parse("p", urllib.parse.quote(written))[0].allows
