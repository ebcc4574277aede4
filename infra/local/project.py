"""What a project's deploy.toml says must exist in the account before anything is deployed."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role(?P<path>/.*/|/)(?P<name>[^/]+)")


@dataclass(frozen=True)
class Needs:
    """The [aws] section's words for it; "" where it does not say."""

    region: str = ""
    bucket: str = ""
    role: str = ""

    @property
    def account_id(self) -> str:
        """The account in the role's ARN, "" where there is none."""
        match = ROLE.fullmatch(self.role)
        return match["account"] if match else ""


def needs_of(project: Path) -> Needs:
    """What deploy.toml in that folder names; nothing where it cannot be read, which deploy itself reports."""
    try:
        section = tomllib.loads((project / "deploy.toml").read_text("utf-8")).get("aws")
    except (OSError, ValueError):
        return Needs()
    given = section if isinstance(section, dict) else {}
    words = {name: given.get(name) for name in ("region", "bucket", "role")}
    return Needs(**{name: word for name, word in words.items() if isinstance(word, str)})
