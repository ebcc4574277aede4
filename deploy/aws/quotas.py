"""Machines that an account may have at once, by region, type and use, as Service Quotas tells them.

SageMaker has a quota for each type in each use. A region without a type has none for it.
Source: docs.aws.amazon.com/general/latest/gr/sagemaker.html, "ml.m5.large for endpoint usage"; not verified
against a real account.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients
from deploy.aws.clients import told
from deploy.config import Config
from deploy.money.machines import Machines
from deploy.target import CloudError

SERVICE = "sagemaker"
_USES = {
    "hosting": "endpoint usage",
    "asynchronous": "endpoint usage",
    "training": "training job usage",
    "transform": "transform job usage",
}
# Whoever may not read them is told by SageMaker, later.
_SILENT = {"AccessDeniedException", "NoSuchResourceException"}


@told()
def check(config: Config, machines: Machines) -> None:
    """Raise CloudError where the region has no such machines, or the account may not have as many."""
    use = _use(config, machines)
    try:
        quota, others = _looked_up(machines, use)
    except ClientError as error:
        if error.response["Error"].get("Code") in _SILENT:
            return
        raise
    if quota is None and others:
        raise CloudError(_missing(machines, use, others))
    if quota is not None and quota["Value"] < machines.count:
        raise CloudError(_too_small(machines, quota))


def _use(config: Config, machines: Machines) -> str:
    spot = machines.use == "training" and config.training.spot
    return f"{'spot ' if spot else ''}{_USES[machines.use]}"


def _looked_up(machines: Machines, use: str) -> tuple[Mapping[str, Any] | None, list[str]]:
    """The quota of these machines, and else the types that have one: a default one is one, too."""
    others: list[str] = []
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for quota in _listed(machines.region, operation):
            machine, _, rest = quota["QuotaName"].partition(" for ")
            if rest == use and machine == machines.type:
                # What the account may have, only the first list tells.
                return (quota if operation == "list_service_quotas" else None), []
            others += [machine] if rest == use else []
    return None, others


def _listed(region: str, operation: str) -> Iterator[Mapping[str, Any]]:
    for page in clients.quotas(region).get_paginator(operation).paginate(ServiceCode=SERVICE):
        yield from page["Quotas"]


def _missing(machines: Machines, use: str, others: list[str]) -> str:
    close = difflib.get_close_matches(machines.type, sorted(set(others)), cutoff=0.7)
    such = f", such as {', '.join(close)}" if close else ""
    return (
        f"{machines.region} has no {machines.type} for {use}, as Service Quotas knows: choose another "
        f"instance_type in deploy.toml{such}, or another region"
    )


def _too_small(machines: Machines, quota: Mapping[str, Any]) -> str:
    return (
        f"deploy.toml asks for {machines}, and this account may have {quota['Value']:g} there: ask for more "
        f"of {quota['QuotaName']!r} ({quota.get('QuotaCode', '')}) in Service Quotas, or choose another "
        "instance_type or region"
    )
