"""Prices of Vertex AI's machines, as Google's Cloud Billing Catalog has them: by the core, gigabyte and hour.

Source: cloud.google.com/billing/docs/reference/rest/v1/services.skus/list; the names of SKUs, of which no
page lists the rules, as cloud.google.com/skus shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from google.api_core import exceptions

from deploy.gcp import clients
from deploy.gcp.clients import told
from deploy.money.machines import Machines, Price

USUAL = "https://cloudbilling.googleapis.com"
VERTEX_AI = "C7E2-9256-1C43"
PAGE, TIMEOUT_S = 5000, 30.0
_BEGINS = "Vertex AI: Online/Batch Prediction "
_MACHINE = re.compile(r"(?P<family>[a-z0-9]+)-(?P<kind>[a-z]+)-(?P<cores>[0-9]+)")
# Gigabytes for each core. Source: cloud.google.com/vertex-ai/docs/predictions/configure-compute
_MEMORY = {
    ("n1", "standard"): 3.75,
    ("n1", "highmem"): 6.5,
    ("n1", "highcpu"): 0.9,
    **{(family, "standard"): 4.0 for family in ("e2", "n2", "n2d", "c2", "c2d", "g2")},
    **{(family, "highmem"): 8.0 for family in ("e2", "n2", "n2d", "c2d")},
    ("e2", "highcpu"): 1.0,
    ("n2", "highcpu"): 1.0,
    ("n2d", "highcpu"): 1.0,
}


@told()
def price(machines: Machines) -> Price | None:
    """The list's price on demand of one such machine, its accelerators included, for an hour.

    None if the list does not have exactly one SKU for each of its parts. Of training none is given: beside
    the machine's SKUs there are those of a fee, and no page says which machines bear it.
    """
    usd = 0.0
    parts = _parts(machines) if machines.use != "training" else {}
    for sku, amount in parts.items():
        each = _only(_hourly(one) for one in _skus(machines.region) if sku.fullmatch(one["description"]))
        if each is None:
            return None
        usd += amount * each
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return Price(usd, today, "Google's Cloud Billing Catalog") if parts else None


def _parts(machines: Machines) -> dict[re.Pattern[str], float]:
    """How much of what is in one machine, by the SKU's description; nothing of a type that is not known."""
    found = _MACHINE.fullmatch(machines.type)
    memory = _MEMORY.get((found["family"], found["kind"])) if found else None
    if not found or memory is None:
        return {}
    family, cores = found["family"], int(found["cores"])
    parts = {_sku(f"{family}( predefined)? instance core"): float(cores)}
    parts[_sku(f"{family}( predefined)? instance ram")] = memory * cores
    if machines.accelerators:
        words = machines.accelerator.removeprefix("NVIDIA_").replace("_", " ")
        parts[_sku(f"nvidia {re.escape(words)} gpu")] = float(machines.accelerators)
    return parts


def _sku(what: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(_BEGINS)}{what} running in .+", re.IGNORECASE)


@cache
def _skus(region: str) -> list[dict[str, Any]]:
    """The list's entries for that region, on demand."""
    return [
        sku
        for sku in _listed()
        if region in sku.get("serviceRegions", ()) and sku.get("category", {}).get("usageType") == "OnDemand"
    ]


def _listed() -> Iterator[dict[str, Any]]:
    url = f"{clients.address('CLOUDBILLING', USUAL)}/v1/services/{VERTEX_AI}/skus"
    asked: dict[str, Any] = {"currencyCode": "USD", "pageSize": PAGE}
    while True:
        answer = clients.session().get(url, params=asked, timeout=TIMEOUT_S)
        if answer.status_code != 200:
            refused: Any = exceptions.from_http_response  # its argument has no type
            raise refused(answer)
        page = answer.json()
        yield from page.get("skus", [])
        if not page.get("nextPageToken"):
            return
        asked["pageToken"] = page["nextPageToken"]


def _hourly(sku: dict[str, Any]) -> float | None:
    """A SKU's price in dollars of its unit and an hour; None if it goes by something else, or in steps."""
    expression = sku.get("pricingInfo", [{}])[-1].get("pricingExpression", {})
    rates = [_dollars(rate["unitPrice"]) for rate in expression.get("tieredRates", [])]
    if not re.fullmatch(r"h|Gi?By\.h", expression.get("usageUnit", "")):
        return None
    return _only(usd for usd in rates if usd)


def _dollars(price: dict[str, Any]) -> float:
    return int(price.get("units", 0)) + int(price.get("nanos", 0)) / 1e9


def _only(found: Iterable[float | None]) -> float | None:
    """The one there is; None if there are none, or several."""
    there = list(found)
    return there[0] if len(there) == 1 else None
