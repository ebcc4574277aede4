"""The Price List API, as AWS's documents and published answers of it have it: the real one was not asked."""

import json
from contextlib import ExitStack

import pytest
from clouds import aws
from pricelists import answering

from deploy.aws import billing, clients, prices
from deploy.money.machines import Machines, Price
from deploy.target import CloudError

HOSTED = Machines("aws", "us-east-1", "hosting", "ml.m5.large")


def product(usage, usd, unit="Hrs", **more):
    """An entry of PriceList: text that is JSON."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}, "description": f"${usd} per {usage}"}
    attributes = {"instanceName": "ml.m5.large", "regionCode": "us-east-1", "usagetype": usage, **more}
    return json.dumps(
        {
            "product": {"productFamily": "ML Instance", "attributes": attributes, "sku": "S"},
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {"S.T": {"sku": "S", "priceDimensions": {"S.T.D": dimension}}}},
            "publicationDate": "2026-11-20T02:56:06Z",
        }
    )


HOST, TRAIN = product("USE1-Host:ml.m5.large", "0.1150000000"), product("USE1-Train:ml.m5.large", "0.2")
UPFRONT = product("USE1-TrainingPlanUpfrontFee:ml.m5.large", "13.57", unit="Quantity")
NOTEBOOK, LARGER = product("USE1-Notebk:ml.m5.large", "0.3"), product("USE1-Host:ml.m5.large2", "0.4")


@pytest.fixture
def listing(monkeypatch):
    """Serves these pages as AWS's price list, and returns what was asked of it."""
    with ExitStack() as stack:

        def serve(*pages, status=200):
            asked = []

            def answer(_path, body):
                asked.append(body)
                number = int(body.get("NextToken", "0"))
                more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
                return status, {"FormatVersion": "aws_v1", "PriceList": pages[number], **more}

            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, "any")
            monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", stack.enter_context(answering(answer)))
            aws.forget()
            return asked

        yield serve
    clients.pricing().close()
    aws.forget()


def test_a_machine_is_priced_for_its_use_on_whatever_page_it_is(listing):
    asked = listing([NOTEBOOK, TRAIN, UPFRONT], [LARGER, HOST])
    assert prices.price(HOSTED) == Price(0.115, "2026-11-20", "AWS Price List API")
    assert asked[0]["ServiceCode"] == "AmazonSageMaker"
    assert {one["Field"]: one["Value"] for one in asked[0]["Filters"]} == {
        "instanceName": "ml.m5.large",
        "regionCode": "us-east-1",
    }
    assert {one["Type"] for one in asked[0]["Filters"]} == {"TERM_MATCH"}


@pytest.mark.parametrize(
    ("use", "usage"),
    [
        ("hosting", "Host"),
        ("asynchronous", "EUW3-AsyncInf"),
        ("training", "USE1-Train"),
        ("transform", "Tsform"),
    ],
)
def test_every_use_has_an_entry_of_its_own_with_or_without_the_region_s_abbreviation(listing, use, usage):
    listing([product(f"{usage}:ml.m5.large", "0.5"), product("USE1-Cluster:ml.m5.large", "0.6")])
    assert prices.price(Machines("aws", "us-east-1", use, "ml.m5.large")).usd == 0.5


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [UPFRONT, NOTEBOOK],
        [HOST, product("USE1-Host:ml.m5.large", "0.2")],
        [product("USE1-Host:ml.m5.large", "1", unit="Quantity")],
    ],
    ids=["none", "another's", "two prices", "not by the hour"],
)
def test_without_exactly_one_price_by_the_hour_there_is_none(listing, entries):
    listing(entries)
    assert prices.price(HOSTED) is None


def test_a_list_that_fails_is_a_sentence(listing):
    listing([], status=500)
    with pytest.raises(CloudError, match="500|InternalFailure|tried 2 times"):
        prices.price(HOSTED)


@pytest.mark.parametrize(
    ("given", "below"),
    [
        ("ml.m5.xlarge", "ml.m5.large"),
        ("ml.m5.12xlarge", "ml.m5.4xlarge"),
        ("ml.m5.large", None),
        ("ml.g5.2xlarge", "ml.g5.xlarge"),
        ("ml.nothing.xlarge", None),
    ],
)
def test_the_smaller_type_is_one_that_sagemaker_hosts_on(given, below, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = billing.smaller(Machines("aws", "us-east-1", "hosting", given))
    assert (found and found.type) == below
