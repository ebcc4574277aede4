"""The Cloud Billing Catalog, as Google's documents and published SKUs have it: the real one was not asked."""

from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest
from pricelists import answering

from deploy.gcp import billing, prices
from deploy.money.machines import Machines
from deploy.target import CloudError

BEGINS = "Vertex AI: Online/Batch Prediction "


def sku(description, nanos, unit="h", usage="OnDemand", regions=("us-central1",)):
    rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos}}
    return {
        "description": description,
        "category": {"serviceDisplayName": "Vertex AI", "usageType": usage},
        "serviceRegions": list(regions),
        "pricingInfo": [
            {
                "effectiveTime": "2026-11-01T00:00:00Z",
                "pricingExpression": {"usageUnit": unit, "tieredRates": [rate]},
            }
        ],
    }


CORE = sku(f"{BEGINS}N1 Predefined Instance Core running in Iowa", 40_000_000)
RAM = sku(f"{BEGINS}N1 Predefined Instance Ram running in Iowa", 4_000_000, "GiBy.h")
T4 = sku(f"{BEGINS}Nvidia Tesla T4 GPU running in Iowa", 300_000_000)
OTHERS = [
    sku(f"{BEGINS}N1 Predefined Instance Core running in Paris", 90_000_000, regions=("europe-west9",)),
    sku(f"{BEGINS}N1 Predefined Instance Core running in Iowa", 10_000_000, usage="Preemptible"),
    sku(f"{BEGINS}N2 Predefined Instance Core running in Iowa", 50_000_000),
    sku(f"{BEGINS}management fee on N1 Instance Core in Iowa", 5_000_000),
    sku("Vertex AI: Training/Pipelines on N1 Predefined Instance Core running in Iowa", 60_000_000),
]
N1 = Machines("gcp", "us-central1", "hosting", "n1-standard-2")


@pytest.fixture
def listing(cloud, monkeypatch):
    """Serves these pages as Google's catalog, and returns what was asked of it."""
    with ExitStack() as stack:

        def serve(*pages, status=200):
            asked = []

            def answer(path, _body):
                asked.append(urlsplit(path))
                number = int(parse_qs(asked[-1].query).get("pageToken", ["0"])[0])
                more = str(number + 1) if number + 1 < len(pages) else ""
                return status, {"skus": pages[number], "nextPageToken": more}

            address = stack.enter_context(answering(answer))
            monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING", f"{address}/")
            cloud.forget()
            prices._skus.cache_clear()
            return asked

        yield serve
    prices._skus.cache_clear()


def test_a_machine_costs_its_cores_and_its_memory(listing):
    asked = listing([*OTHERS, CORE], [RAM])
    found = prices.price(N1)
    assert found.usd == pytest.approx(2 * 0.04 + 7.5 * 0.004)
    assert found.source == "Google's Cloud Billing Catalog"
    assert asked[0].path == "/v1/services/C7E2-9256-1C43/skus"
    assert parse_qs(asked[0].query)["currencyCode"] == ["USD"]


def test_accelerators_are_added(listing):
    listing([CORE, RAM, T4])
    two = Machines("gcp", "us-central1", "hosting", "n1-standard-4", 1, 0, "NVIDIA_TESLA_T4", 2)
    assert prices.price(two).usd == pytest.approx(4 * 0.04 + 15 * 0.004 + 2 * 0.3)


@pytest.mark.parametrize(
    "entries",
    [[], [CORE], [CORE, RAM, RAM], [CORE, sku(RAM["description"], 4_000_000, "GiBy.mo")]],
    ids=["none", "no memory", "two of a kind", "by the month"],
)
def test_without_exactly_one_sku_for_each_part_there_is_no_price(listing, entries):
    listing(entries)
    assert prices.price(N1) is None


@pytest.mark.parametrize(
    "machines",
    [
        Machines("gcp", "us-central1", "training", "n1-standard-2"),
        Machines("gcp", "us-central1", "hosting", "x9-strange-2"),
        Machines("gcp", "us-central1", "hosting", "n1-standard-2", 1, 0, "NVIDIA_H100_80GB", 1),
    ],
    ids=[
        "training, of which the fee is not known",
        "a type of unknown shape",
        "an accelerator without a SKU",
    ],
)
def test_what_cannot_be_told_apart_is_not_guessed(listing, machines):
    listing([CORE, RAM, *OTHERS])
    assert prices.price(machines) is None


def test_a_catalog_that_fails_is_a_sentence(listing):
    listing([], status=403)
    with pytest.raises(CloudError, match="403"):
        prices.price(N1)


@pytest.mark.parametrize(
    ("given", "below"),
    [
        ("n1-standard-4", "n1-standard-2"),
        ("n2-standard-48", "n2-standard-32"),
        ("n1-standard-2", None),
        ("e2-highmem-16", "e2-highmem-8"),
    ],
)
def test_the_smaller_type_has_the_next_power_of_two_of_cores(given, below):
    found = billing.smaller(Machines("gcp", "us-central1", "hosting", given))
    assert (found and found.type) == below
