"""Machines that a project may have: Vertex AI tells of them when it is asked to use them, and not before.

Its quotas are of cores and accelerators and not of machine types, and no API says which types a region has.
What it refuses then, `errors.of_machine` tells what to do about.
"""

from __future__ import annotations

from deploy.config import Config
from deploy.money.machines import Machines


def check(config: Config, machines: Machines) -> None:
    """Nothing."""
