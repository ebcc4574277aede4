"""What a project's deploy.toml says must exist in the account before anything is deployed."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOOGLE_PROJECT = "slipway-local"  # where none is named
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role(?P<path>/.*/|/)(?P<name>[^/]+)")


# Each of Needs's words with its section and key in deploy.toml.
_WORDS = {
    "region": ("aws", "region"),
    "bucket": ("aws", "bucket"),
    "role": ("aws", "role"),
    "gcp_project": ("gcp", "project"),
    "gcs_bucket": ("gcp", "bucket"),
}


@dataclass(frozen=True)
class Needs:
    """The words of the sections [aws] and [gcp] for it; "" where they do not say."""

    region: str = ""
    bucket: str = ""
    role: str = ""
    gcp_project: str = ""
    gcs_bucket: str = ""

    @property
    def account_id(self) -> str:
        """The account in the role's ARN, "" where there is none."""
        match = ROLE.fullmatch(self.role)
        return match["account"] if match else ""


def google_installed() -> bool:
    """Whether this Python has what Google's side needs; who uses AWS alone may go without."""
    return importlib.util.find_spec("gcp_storage_emulator") is not None


def needs_of(project: Path) -> Needs:
    """What deploy.toml in that folder names; nothing where it cannot be read, which deploy itself reports."""
    try:
        config = tomllib.loads((project / "deploy.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return Needs()
    found = {name: _word(config.get(section), key) for name, (section, key) in _WORDS.items()}
    return Needs(**found)


def _word(section: Any, key: str) -> str:
    word = section.get(key) if isinstance(section, dict) else ""
    return word if isinstance(word, str) else ""
