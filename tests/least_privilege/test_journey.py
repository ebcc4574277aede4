"""The roles of infra/aws are enough for every verb, and none of their statements is too many."""

import pytest
import stack

from infra.local.iam import ledger, policies, report
from infra.local.iam.policies import Rights, Statement, Who

# Whichever test is the first waits for the whole journey.
pytestmark = pytest.mark.timeout(400)
ROLES = ("DeployerRole", "ExecutionRole", "InvokerRole", "ExpiryRole", "ImageBuildRole")
STATEMENTS = [(role, label) for role in ROLES for label in stack.statements(role)]
# What is for something that cannot happen in the local cloud.
NEVER_USED = {
    "ExecutionRole": {
        "containers/PutMetrics": "what a container puts by itself: here it has no credentials",
    },
    "ExpiryRole": {
        "expiry/DeleteExpired": "when the time is over: tests/deploy/aws/test_schedules.py",
    },
}

_LOGS = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/"
_AWS_S_OWN = "arn:aws:ecr:us-east-1:763104351884:repository/"
# Parts of statements that the journey has no use for, and who has.
IDLE = {
    "DeployerRole": {
        "files/KeepFiles: s3:AbortMultipartUpload": "an upload in parts that breaks off",
        "files/ShareData: s3:AbortMultipartUpload": "likewise",
        "files/ShareData: s3:DeleteObject": "results of a job whose input has changed",
        f"endpoints/ReadLogs: {_LOGS}Endpoints/iris-candidate:*": "a candidate that does not start",
        "images/PushImage: ecr:BatchCheckLayerAvailability": "docker of this machine, as the four below",
        "images/PushImage: ecr:CompleteLayerUpload": "",
        "images/PushImage: ecr:InitiateLayerUpload": "",
        "images/PushImage: ecr:PutImage": "",
        "images/PushImage: ecr:UploadLayerPart": "",
        "guardrails/LookUpCosts: pricing:GetProducts": "LIVE=1",
        "guardrails/LookUpQuotas: servicequotas:ListAWSDefaultServiceQuotas": "a type that has no quota",
    },
    "ExecutionRole": {
        "containers/WriteLogs: logs:DescribeLogStreams": "SageMaker's guide asks for it",
        f"containers/PullImage: {_AWS_S_OWN}pytorch-training": "a training that names no image",
        f"containers/PullImage: {_AWS_S_OWN}ray": "deployments without an image of their own",
    },
    "ExpiryRole": {"nobody acted in this role": "its time does not come"},
    "ImageBuildRole": {"image-build/ReadContext: s3:GetObjectVersion": "CodeBuild's guide asks for it"},
}


@pytest.fixture(scope="module")
def told(journey, account):
    """What IAM was asked on the way, and what the roles may do."""
    return account.told()


def test_all_of_it_is_done_without_one_refusal(told):
    assert report.refused(told) == []


@pytest.mark.parametrize(("role", "label"), STATEMENTS, ids=[f"{role}-{label}" for role, label in STATEMENTS])
def test_without_this_statement_a_step_is_refused(role, label, told, account):
    """What the journey did is asked again of the role without the statement."""
    if label in NEVER_USED.get(role, {}):
        assert not refused_without(told, account.roles[role], label), (
            "it is used by now: take it off NEVER_USED"
        )
        return
    assert refused_without(told, account.roles[role], label), "nothing of the journey needs it"


def test_what_is_allowed_and_was_not_used_is_known(told, account):
    """An action or an ARN in a statement that something else of the statement keeps."""
    names = {arn.rpartition(":")[2]: role for role, arn in account.roles.items()}
    lines = [line.partition(": ") for line in report.unused(told)]
    found = {(names[who], what) for who, _, what in lines if not what.endswith(": nothing of it")}
    assert found == {(role, what) for role, known in IDLE.items() for what in known}


def refused_without(told, arn, label):
    """What a role did that it could not have done without that statement."""
    (found,) = [one for one in told["roles"] if one["arn"] == arn]
    statements = [Statement(**one) for one in found["statements"]]
    left = tuple(one for one in statements if one.label != label)
    assert len(left) == len(statements) - 1
    rights, who = Rights((left,)), Who(role=arn)
    uses = [use for use in ledger.uses_of(told["uses"]) if use.principal == arn and use.allowed]
    return [use for use in uses if not policies.decide(rights, use.demand, who).allowed]


def test_the_invoker_invokes_one_endpoint_and_nothing_else(told, account):
    did = [use for use in ledger.uses_of(told["uses"]) if use.principal == account.roles["InvokerRole"]]
    assert {(use.action, use.resource.rpartition(":")[2]) for use in did} == {
        ("sagemaker:InvokeEndpoint", "endpoint/iris"),
        ("sagemaker:InvokeEndpointWithResponseStream", "endpoint/iris"),
    }
    allowed = Rights((tuple(Statement(**one) for one in statements_of(told, account, "InvokerRole")),))
    for use in ledger.uses_of(told["uses"]):
        is_its_own = use.action.startswith("sagemaker:InvokeEndpoint") and use.resource.endswith("/iris")
        if use.action != "sagemaker:InvokeEndpointAsync":
            assert policies.decide(allowed, use.demand, Who()).allowed is is_its_own, use


def statements_of(told, account, role):
    (found,) = [one for one in told["roles"] if one["arn"] == account.roles[role]]
    return found["statements"]
