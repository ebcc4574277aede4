"""Machines that the region or the account does not have are refused before anything is made."""

import json

import pytest
from botocore.awsrequest import AWSResponse

from deploy import config
from deploy.aws import quotas
from deploy.money.machines import Machines
from deploy.target import CloudError


@pytest.fixture
def told(cloud):
    """Has Service Quotas tell these alone: {name: value} applied, and names with a default."""

    def tell(applied, default=()):
        def answer(operation):
            found = applied if operation == "ListServiceQuotas" else dict.fromkeys(default, 0.0)
            listed = [{"QuotaName": one, "QuotaCode": "L-1", "Value": value} for one, value in found.items()]
            return lambda request, **_: AWSResponse(request.url, 200, {}, Body({"Quotas": listed}))

        for operation in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
            cloud._events().register(f"before-send.service-quotas.{operation}", answer(operation))

    return tell


class Body:
    def __init__(self, document):
        self._content = json.dumps(document).encode()

    def stream(self):
        yield self._content


def text(capsys):
    return capsys.readouterr().err


@pytest.mark.parametrize("verb", ["deploy-endpoint", "plan"])
def test_a_region_without_the_type_is_refused_with_what_it_has(iris, deploy, held, told, capsys, verb):
    told({"ml.m6i.large for endpoint usage": 5.0, "ml.m7i.large for training job usage": 5.0})
    assert deploy(iris, verb) == 1
    assert text(capsys) == (
        "error: us-east-1 has no ml.m7i.large for endpoint usage, as Service Quotas knows: choose another "
        "instance_type in deploy.toml, such as ml.m6i.large, or another region\n"
    )
    assert held(iris) == set()


def test_an_account_that_may_have_none_is_told_where_to_ask_for_some(iris, deploy, held, told, capsys):
    told({"ml.m7i.large for endpoint usage": 0.0})
    assert deploy(iris) == 1
    assert text(capsys) == (
        "error: deploy.toml asks for 1 x ml.m7i.large in us-east-1, and this account may have 0 there: ask "
        "for more of 'ml.m7i.large for endpoint usage' (L-1) in Service Quotas, or choose another "
        "instance_type or region\n"
    )
    assert held(iris) == set()


def test_jobs_have_quotas_of_their_own(untrained, deploy, told, jobs, capsys):
    told({"ml.m7i.large for endpoint usage": 5.0, "ml.m7i.large for training job usage": 0.0})
    assert deploy(untrained, "train") == 1
    assert "'ml.m7i.large for training job usage' (L-1)" in text(capsys)
    assert jobs() == []


def test_so_has_a_batch_job(iris, deploy, told, capsys, tmp_path):
    (tmp_path / "given.jsonl").write_text("1\n")
    told({"ml.m7i.large for endpoint usage": 5.0, "ml.m7i.xlarge for transform job usage": 5.0})
    given = ("--input", str(tmp_path / "given.jsonl"), "--output", str(tmp_path / "out"))
    assert deploy(iris, "batch-transform", *given) == 1
    assert "has no ml.m7i.large for transform job usage" in text(capsys)


def test_a_type_that_is_none_is_refused_with_those_that_are_like_it(iris, deploy, held, capsys):
    settings = iris / "deploy.toml"
    settings.write_text(settings.read_text().replace("ml.m7i.large", "ml.m7i.lagre"))
    assert deploy(iris) == 1
    assert "us-east-1 has no ml.m7i.lagre for endpoint usage" in (said := text(capsys))
    assert "such as ml.m7i.large" in said
    assert held(iris) == set()


@pytest.fixture
def settings(project):
    return config.load(project("iris"))


@pytest.mark.parametrize(
    ("applied", "default"),
    [
        ({"ml.x.large for endpoint usage": 2.0}, ()),
        ({"ml.y.large for endpoint usage": 2.0}, ["ml.x.large for endpoint usage"]),
        ({}, ()),
    ],
    ids=["there are enough", "what the account may have is not told", "nothing is told"],
)
def test_what_is_not_surely_missing_stops_nobody(cloud, settings, told, applied, default):
    told(applied, default)
    quotas.check(settings, Machines("aws", "us-east-1", "hosting", "ml.x.large", 2))


def test_nor_does_a_role_that_may_not_read_quotas(cloud, settings):
    cloud.refuse("ListServiceQuotas", 403)
    quotas.check(settings, Machines("aws", "us-east-1", "hosting", "ml.x.large"))


def test_a_service_that_fails_is_told(cloud, settings):
    cloud.refuse("ListServiceQuotas", 500)
    with pytest.raises(CloudError, match="InternalFailure"):
        quotas.check(settings, Machines("aws", "us-east-1", "hosting", "ml.x.large"))
