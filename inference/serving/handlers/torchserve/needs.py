"""What the requirements file within a .mar asks for and is not installed: TorchServe would have installed it.

Here only inference/requirements.txt is, when the image or the environment is made, so that what serves is
known before it starts. Which of a model's own needs are not met is said at start.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

# A name, and a version where exactly one will do; what else a line says is not judged here.
_LINE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==\s*([^\s;#*]+))?(.*)")


def unmet(requirements: Path) -> list[str]:
    """The lines that name a package which is not installed, or is in another version than the exact one."""
    try:
        lines = requirements.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:  # a manifest may name what was not packed
        return []
    return [line.strip() for line in lines if _is_unmet(line)]


def _is_unmet(line: str) -> bool:
    found = _LINE.fullmatch(line)
    if found is None:  # empty, a comment, an option of pip's
        return False
    name, exact, rest = found.groups()
    if ";" in rest:  # for some machines alone
        return False
    try:
        return exact not in (None, metadata.version(name))
    except metadata.PackageNotFoundError:
        return True
