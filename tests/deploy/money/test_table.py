"""The price table that ships."""

import re
import tomllib

import pytest

from deploy.money import table
from deploy.money.machines import Machines

LISTS = tomllib.loads(table.FILE.read_text())["list"]


def test_a_price_comes_with_the_day_on_which_it_was_read_and_its_source():
    found = table.shipped(Machines("aws", "us-east-1", "hosting", "ml.m5.large"))
    assert (found.usd, found.read, found.source) == (0.115, "2026-09-28", "AWS Price List, AmazonSageMaker")


@pytest.mark.parametrize(
    "machines",
    [
        Machines("aws", "us-east-1", "hosting", "ml.unknown.large"),
        Machines("aws", "ap-south-2", "hosting", "ml.m5.large"),
        Machines("aws", "us-east-1", "transform", "ml.m5.large"),
        Machines("gcp", "us-central1", "hosting", "n1-standard-2", accelerator="NVIDIA_L4", accelerators=1),
    ],
)
def test_another_type_region_use_or_accelerator_has_no_price_rather_than_a_guess(machines):
    assert table.shipped(machines) is None


def test_every_entry_has_all_that_a_reader_needs_to_check_it():
    for one in LISTS:
        prices = {name: held for name, held in one.items() if isinstance(held, dict)}
        assert set(one) - set(prices) == {"cloud", "region", "read", "source"}
        assert set(prices) <= {"hosting", "asynchronous", "training", "transform", "serverless"}
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", one["read"])
        assert all(0 < usd < 200 for held in prices.values() for usd in held.values())


def test_no_price_is_there_twice():
    entries = [
        (one["cloud"], one["region"], use, name)
        for one in LISTS
        for use, prices in one.items()
        if isinstance(prices, dict)
        for name in prices
    ]
    assert len(entries) == len(set(entries))
