"""What AWS refuses, told in a sentence; nothing is left of what was made."""

import pytest
from botocore.awsrequest import AWSResponse
from clouds.aws import forget

from deploy.aws import errors

TOO_OLD = "The security token included in the request is expired"
XML = f"<Error><Code>ExpiredToken</Code><Message>{TOO_OLD}</Message></Error>"
JSON = f'{{"__type": "ExpiredTokenException", "message": "{TOO_OLD}"}}'


class Body:
    """A response's body, as botocore reads it."""

    def __init__(self, text):
        self.text = text

    def stream(self, **_):
        yield self.text.encode()


def expired(request, event_name, **_):
    """What S3 and STS say in XML, and the others in JSON."""
    service = event_name.split(".")[1]
    said = {"s3": (400, XML), "sts": (403, f"<ErrorResponse>{XML}</ErrorResponse>")}
    status, text = said.get(service, (400, JSON))
    return AWSResponse(request.url, status, {}, Body(text))


def edited(place, old, new):
    text = (place / "deploy.toml").read_text()
    assert old in text
    (place / "deploy.toml").write_text(text.replace(old, new))


def test_a_bucket_in_another_region_is_refused_before_anything_is_made(
    iris, deploy, held, capsys, local_cloud
):
    abroad = {"LocationConstraint": "eu-west-1"}
    local_cloud.client("s3", "eu-west-1").create_bucket(
        Bucket="slipway-abroad", CreateBucketConfiguration=abroad
    )
    edited(iris, 'bucket = "slipway-tests"', 'bucket = "slipway-abroad"')
    assert deploy(iris) == 1
    assert "'slipway-abroad' is in eu-west-1, expected one in us-east-1" in capsys.readouterr().err
    assert held("iris") == set()


def test_a_role_that_is_not_there_is_refused_and_what_was_made_is_taken_back(iris, deploy, held, capsys):
    edited(iris, "role/slipway-execution", "role/nobody")
    assert deploy(iris) == 1
    assert "nobody" in capsys.readouterr().err.splitlines()[-1]
    assert held("iris") == set()


def test_a_wrong_instance_type_is_told_without_every_right_one():
    every = ", ".join(f"ml.x{number}.large" for number in range(300))
    text = f"Value 'ml.m7.large' at 'instanceType': Member must satisfy enum value set: [{every}]"
    told = errors.refusal({"Error": {"Code": "ValidationException", "Message": text}})
    assert told.startswith("Value 'ml.m7.large' at 'instanceType'")
    assert told.endswith(
        "enum value set: [ml.x0.large, ml.x1.large, ml.x2.large, ml.x3.large, ml.x4.large, "
        "ml.x5.large, ml.x6.large, ml.x7.large, …] (ValidationException)"
    )


def test_credentials_of_another_account_are_refused_before_anything_is_made(
    iris, deploy, held, local_cloud, capsys, monkeypatch
):
    """Row 28 of the faults: the wrong account."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "999999999999")  # an account's own key, in the local cloud
        forget()
        assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert "role is of account 123456789012, and these credentials are of 999999999999: write that" in told
    forget()
    assert held(iris) == set()


@pytest.mark.parametrize("verb", ["deploy-endpoint", "plan", "status", "destroy"])
def test_expired_credentials_are_refused_before_anything_is_made(iris, deploy, held, cloud, capsys, verb):
    """Row 28 of the faults: expired ones."""
    cloud._events().register("before-send.*", expired)
    assert deploy(iris, verb) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the AWS credentials were not accepted (ExpiredToken")
    assert told.endswith(f": {TOO_OLD}): {errors.RENEW}\n")
    cloud.forget()
    assert held(iris) == set()


def test_a_quota_that_is_too_small_says_where_to_ask_for_more(iris, deploy, held, cloud, capsys):
    cloud._answer(
        "CreateEndpoint", 400, {"__type": "ResourceLimitExceeded", "message": "1 ml.m7i.large of 0"}
    )
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert (
        "1 ml.m7i.large of 0 (ResourceLimitExceeded): ask for more in Service Quotas, or choose another"
        in told
    )
    assert held(iris) == set()
