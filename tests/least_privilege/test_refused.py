"""Two statements taken away for real: the verb stops and says which permission is missing."""

import json

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def without(account, journey):
    """Takes a statement of a role away until the end of the test."""
    iam, kept = account.cloud.client("iam"), []

    def take(role, policy, sid):
        names = {"RoleName": account.roles[role].rpartition("/")[2], "PolicyName": policy}
        document = iam.get_role_policy(**names)["PolicyDocument"]
        kept.append({**names, "PolicyDocument": json.dumps(document)})
        left = [one for one in document["Statement"] if one["Sid"] != sid]
        assert len(left) == len(document["Statement"]) - 1
        iam.put_role_policy(**names, PolicyDocument=json.dumps({**document, "Statement": left}))

    yield take
    for policy in kept:
        iam.put_role_policy(**policy)


@pytest.fixture
def deployed(account, journey):
    """The verbs in the deployer's name, whose project has an image and a model by now; destroyed after."""
    journey.enter(account.keys("DeployerRole"))
    journey.configure()
    yield journey
    journey.do("destroy", "--yes")


def test_a_deployer_that_may_not_lend_the_execution_role_deploys_nothing(deployed, without, capfd):
    without("DeployerRole", "endpoints", "LendExecutionRole")
    assert deployed("deploy-endpoint", "--yes") == 1
    told = capfd.readouterr().err
    assert (
        "is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/slipway-"
        in told
    )
    assert "(AccessDeniedException): whoever runs this needs that permission" in told


def test_an_execution_role_that_may_not_read_the_archive_is_told_of_before_anything_serves(
    deployed, without, account, capfd
):
    without("ExecutionRole", "containers", "ReadModelsAndInputs")
    assert deployed("deploy-endpoint", "--yes") == 1
    assert "Could not access model data at s3://slipway-iris/iris/" in capfd.readouterr().err
    assert account.cloud.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_an_invoker_is_refused_all_else(account, journey):
    for service, method, given in (
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "iris-2", "Body": b"1"}),
        ("sagemaker", "describe_endpoint", {"EndpointName": "iris"}),
        ("sagemaker", "delete_endpoint", {"EndpointName": "iris"}),
        ("sagemaker", "list_endpoints", {}),
        ("s3", "list_objects_v2", {"Bucket": "slipway-iris"}),
        ("s3", "get_object", {"Bucket": "slipway-iris", "Key": "data/in/a.jsonl"}),
        ("logs", "describe_log_groups", {}),
        ("sts", "assume_role", {"RoleArn": account.roles["DeployerRole"], "RoleSessionName": "test"}),
    ):
        client = account.client("InvokerRole", service)
        with pytest.raises(ClientError, match="is not authorized to perform"):
            getattr(client, method)(**given)
        client.close()
