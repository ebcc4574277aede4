"""What must exist in an account before anything is deployed there: what a cloud must do for the verb `infra`.

The functions of `Infrastructure` are those of `deploy.aws.stacks` and `deploy.gcp.terraform`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.config import Config
from deploy.plan import Change
from deploy.target import Say


@dataclass(frozen=True)
class Wish:
    """What is asked for: the folder that says what is made, and what it leaves to the person, by name."""

    folder: Path
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Draft:
    """Changes that wait for a yes. Where there are none, nothing waits."""

    name: str  # of what they are kept under
    changes: tuple[Change, ...] = ()
    id: str = ""


class Infrastructure(Protocol):
    """A module of functions beside a target's. They raise CloudError, never an SDK's own errors."""

    def check(self, config: Config, wish: Wish) -> None:
        """Fail now if the settings, the credentials or the account are wrong: nothing has been written."""

    def settle(self, config: Config, say: Say) -> None:
        """Return once nothing is changing there, and what failed at its first creation is cleared away."""

    def draft(self, config: Config, wish: Wish, say: Say) -> Draft:
        """Compare what is wanted with what is there. Nothing that is billed is made yet."""

    def discard(self, config: Config, draft: Draft) -> None:
        """Leave no trace of a draft that nobody wants."""

    def carry_out(self, config: Config, draft: Draft, say: Say) -> None:
        """Make the changes and return when they are made; CloudError with each failed one's own reason."""

    def when_stopped(self, draft: Draft) -> str:
        """What becomes of a draft after Ctrl-C in `carry_out`, and what the same command again does."""

    def told(self, config: Config, wish: Wish) -> list[str]:
        """Lines about what is there, first of all those for deploy.toml."""
