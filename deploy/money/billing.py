"""What a cloud must say of its bill: the functions of `deploy.aws.billing` and `deploy.gcp.billing`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from deploy.config import Config
from deploy.money.machines import Machines, Price
from deploy.sections import Batch


@dataclass(frozen=True)
class Running:
    """An endpoint that is there. No `machines` where none is billed by the hour now."""

    since: datetime  # of the endpoint, whatever it has served since
    machines: tuple[Machines, ...]


class Billing(Protocol):
    """A module of functions beside a target's. Those that ask the cloud raise CloudError."""

    def serving(self, config: Config) -> Machines | None:
        """What deploy.toml has the endpoint run on; None where it is billed by the request."""

    def training(self, config: Config) -> Machines:
        """What deploy.toml has a training job run on."""

    def scoring(self, config: Config, settings: Batch) -> Machines:
        """What a batch job with these settings runs on."""

    def smaller(self, machines: Machines) -> Machines | None:
        """The next smaller type of the same family; None if there is none."""

    def price(self, machines: Machines) -> Price | None:
        """What the cloud's price list says of one of them now; None if it has none, or more than one."""

    def running(self, config: Config) -> Running | None:
        """The endpoint as it is; None if there is none."""

    def ends(self, config: Config) -> datetime | None:
        """When its schedule removes it; None if it has none."""

    def left(self, config: Config) -> list[str]:
        """What carries this deployment's tag or label and is still billed, one a line."""
