"""A price asked for: of the cloud's own list where the person said so, else of the table that ships."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploy.money import table
from deploy.money.billing import Billing
from deploy.money.machines import Machines, Price
from deploy.target import CloudError

LIST = {"aws": "AWS", "gcp": "Google"}


@dataclass(frozen=True)
class Quote:
    """Machines and what one costs for an hour. `remark` says why there is no price, or no newer one."""

    machines: Machines
    price: Price | None
    remark: str = ""


def quote(billing: Billing, machines: Machines, live: bool) -> Quote:
    """The price of these machines: LIVE asks the cloud, and the table that ships stands in where it fails.

    A price that is not to be had never stops a verb: it is said to be unknown, and why.
    """
    if not live:
        return _shipped(machines, f"LIVE=1 asks {LIST[machines.cloud]}")
    try:
        found = billing.price(machines)
    except CloudError as error:
        return _shipped(machines, f"the price list could not be read: {error}")
    return Quote(machines, found) if found else _shipped(machines, "the price list has no one price for it")


def _shipped(machines: Machines, remark: str) -> Quote:
    found = table.shipped(machines)
    if found is None:
        return Quote(machines, None, f"the table that ships has none; {remark}")
    return Quote(machines, replace(found, source=f"{found.source}, in the table that ships"), remark)
