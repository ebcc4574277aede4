"""What a pickled model was made with, told from the names in its bytes: it is searched and never loaded.

Loading a pickle runs the code in it. A compressed one shows no names, and what it is has to be said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SKLEARN, XGBOOST = "sklearn", "xgboost"
_PIECE, _OVERLAP = 1024 * 1024, 256
# A module's name ends with a line in the older pickles, and with one of these opcodes in the newer ones.
_MODULES = re.compile(rb"(?:sklearn|xgboost)(?:\.[a-z0-9_.]+)?(?=[\n\x94\x8c])")
_VERSION = re.compile(rb"_sklearn_version.{1,14}?([0-9]+\.[0-9]+\.(?:dev)?[0-9]+)", re.DOTALL)


@dataclass(frozen=True)
class Pickled:
    """The kinds that a model may be of, one if its bytes show it; scikit-learn's version, or ""."""

    kinds: tuple[str, ...]
    sklearn: str = ""


def looked_at(path: Path) -> Pickled:
    """Search the file."""
    modules: set[str] = set()
    version = b""
    with path.open("rb") as file:
        before = b""
        while piece := file.read(_PIECE):
            text = before + piece
            modules |= {found.group().decode() for found in _MODULES.finditer(text)}
            found_version = _VERSION.search(text)
            version = found_version[1] if found_version and not version else version
            before = text[-_OVERLAP:]
    return Pickled(_kinds(modules), version.decode())


def _kinds(modules: set[str]) -> tuple[str, ...]:
    # XGBClassifier and its like take arrays, as scikit-learn's models do; XgboostPredictor makes a DMatrix.
    if any(name.startswith(("sklearn", "xgboost.sklearn")) for name in modules):
        return (SKLEARN,)
    return (XGBOOST,) if modules else (SKLEARN, XGBOOST)
