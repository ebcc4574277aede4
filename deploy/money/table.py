"""The price table that ships: prices.toml beside this file, which says where its figures are from."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from deploy.money.machines import Machines, Price

FILE = Path(__file__).with_name("prices.toml")
GB_SECOND = "GB-second"


def shipped(machines: Machines) -> Price | None:
    """The table's price of one such machine; None if it has none, or accelerators are billed beside it."""
    if machines.accelerators:
        return None
    return _prices().get((machines.cloud, machines.region, machines.use, machines.type))


def serverless(cloud: str, region: str) -> Price | None:
    """The table's price of a GB-second of a serverless endpoint."""
    return _prices().get((cloud, region, "serverless", GB_SECOND))


@cache
def _prices() -> dict[tuple[str, str, str, str], Price]:
    lists: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["list"]
    return {
        (one["cloud"], one["region"], use, name): Price(usd, one["read"], one["source"])
        for one in lists
        for use, prices in one.items()
        if isinstance(prices, dict)
        for name, usd in prices.items()
    }
