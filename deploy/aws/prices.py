"""Prices of SageMaker's machines, as AWS's Price List API has them.

Source: docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from deploy.aws import clients
from deploy.aws.clients import told
from deploy.money.machines import Machines, Price

SERVICE, CURRENCY, HOURS = "AmazonSageMaker", "USD", "Hrs"
# What stands before the machine's name in a usage type, after the region's own abbreviation. A machine is in
# the list once for each of its uses, and its reservations are there, too, with a price for the whole.
_USAGES = {"hosting": "Host", "asynchronous": "AsyncInf", "training": "Train", "transform": "Tsform"}


@told()
def price(machines: Machines) -> Price | None:
    """The list's price on demand of one such machine for an hour; None if it has none, or several."""
    usage = re.compile(rf"([A-Z0-9]+-)?{_USAGES[machines.use]}:{re.escape(machines.type)}")
    fitting = [one for one in _products(machines) if usage.fullmatch(_attributes(one).get("usagetype", ""))]
    found = {usd for product in fitting for usd in _hourly(product)}
    if len(found) != 1:
        return None
    return Price(found.pop(), str(fitting[0].get("publicationDate", ""))[:10], "AWS Price List API")


def _products(machines: Machines) -> Iterator[dict[str, Any]]:
    wanted = {"instanceName": machines.type, "regionCode": machines.region}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
    pages = clients.pricing().get_paginator("get_products").paginate(ServiceCode=SERVICE, Filters=filters)
    for page in pages:
        yield from map(json.loads, page["PriceList"])


def _attributes(product: dict[str, Any]) -> dict[str, str]:
    return dict(product.get("product", {}).get("attributes", {}))


def _hourly(product: dict[str, Any]) -> Iterator[float]:
    for offer in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in offer.get("priceDimensions", {}).values():
            if dimension.get("unit") == HOURS and CURRENCY in dimension.get("pricePerUnit", {}):
                yield float(dimension["pricePerUnit"][CURRENCY])
