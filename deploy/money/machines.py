"""What is billed by the hour, and what an hour of it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOURS_A_MONTH = 730  # as both clouds' own calculators count: 8,760 hours of a year by 12

# What a machine is used for: SageMaker has a price for each.
Use = Literal["hosting", "asynchronous", "training", "transform"]


@dataclass(frozen=True)
class Machines:
    """Machines of one type, for one use. `most` is how many there may be at a peak, where that differs."""

    cloud: str
    region: str
    use: Use
    type: str
    count: int = 1
    most: int = 0
    accelerator: str = ""  # billed beside the machine; empty where its type has all there is
    accelerators: int = 0

    def __str__(self) -> str:
        range_ = f"{self.count} to {self.most}" if self.most > self.count else str(self.count)
        beside = f" with {self.accelerators} {self.accelerator}" if self.accelerators else ""
        return f"{range_} x {self.type}{beside} in {self.region}"


@dataclass(frozen=True)
class Price:
    """US dollars for one machine and hour, on demand; `read` is an ISO date, or a month."""

    usd: float
    read: str
    source: str
