"""What would cost less than machines that wait for requests: pure."""

from __future__ import annotations

import re

from deploy.money.machines import Price
from deploy.money.quoting import Quote
from deploy.money.telling import dollars, said_by

# Source: docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html: no GPUs, at most 6 GB of memory.
_ACCELERATED = re.compile(r"ml\.(g|p|inf|trn)[0-9]")


def cheaper(hosting: Quote, smaller: Quote | None, serverless: Price | None) -> list[str]:
    """The ways to a smaller bill, each in a sentence: those that this cloud and machine have."""
    found = ["batch-transform, where answers may wait: a machine is billed only while it scores"]
    if hosting.machines.cloud == "aws" and not _ACCELERATED.match(hosting.machines.type):
        found.append(f"a serverless endpoint, to 6 GB of memory: nothing while idle{_each(serverless)}")
    if hosting.machines.cloud == "aws":
        found.append("an asynchronous endpoint that scales to zero: nothing while its queue is empty")
    if hosting.machines.most > hosting.machines.count > 1:
        found.append("fewer machines at the least: those of a peak are billed while it lasts")
    if smaller:
        found.append(f"{smaller.machines.type}, if the model fits: {_hour(smaller)}")
    return found


def _each(price: Price | None) -> str:
    return f", {dollars(price.usd)} for a GB-second of requests ({said_by(price)})" if price else ""


def _hour(quote: Quote) -> str:
    return f"{dollars(quote.price.usd)} an hour each" if quote.price else "price unknown"
