"""The lighter variant that `optimize` has left: what it is, and whether it was made for this model and code.

The runtime writes its variant.json and reads it at start; here it is only asked what a person is to know.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.package.members import CODE, Member, PackageError, collect, contents

FOLDER = "optimized"
_FILE = "variant.json"
_REQUIREMENTS = "requirements.txt"
# What may change without making a variant another model's.
_ASIDE = {f"{CODE}/samples.jsonl", f"{CODE}/{_REQUIREMENTS}"}
_AGAIN = "run `make optimize` again, or with CHOOSE=none for the model as it is"


@dataclass(frozen=True)
class Variant:
    """What serves in the model's place, and what it is worth."""

    kind: str
    told: str


def made_for(model_dir: Path, code_dir: Path) -> str:
    """The digest of a model and its code by which a variant knows them; samples and requirements aside."""
    total = hashlib.sha256()
    for member in collect(model_dir, code_dir):
        if member.name not in _ASIDE:
            with Path(os.fsdecode(member.source)).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{member.name}\0{content}\0".encode())
    return total.hexdigest()


def chosen(folder: Path) -> Variant | None:
    """The variant in the folder, None where there is none. PackageError where it cannot be read."""
    if not folder.is_dir():
        return None
    document = _document(folder / _FILE)
    return Variant(str(document["kind"]), str(document["told"]))


def members(folder: Path | None, model_dir: Path, code_dir: Path) -> list[Member]:
    """The variant's files as they go into the archive; none where there is no such folder.

    PackageError where it was made for another model or handler, or needs what no requirement names.
    """
    own = model_dir / FOLDER
    if (own / _FILE).exists():
        raise PackageError(str(own / _FILE), "takes the place of a variant's in the archive", "rename it")
    if folder is None or not folder.is_dir():
        return []
    if own.exists():
        raise PackageError(str(own), f"takes the place of {FOLDER}/ in the archive", "rename it")
    document = _document(folder / _FILE)
    if document["made_for"] != made_for(model_dir, code_dir):
        raise PackageError(str(folder), "was made for another model or handler", _AGAIN)
    _check_required(document, code_dir / _REQUIREMENTS)
    return contents(folder, FOLDER, _AGAIN)


def _document(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text())
        if not isinstance(document, dict) or not {"kind", "told", "made_for", "needs"} <= set(document):
            raise ValueError("is no variant")
    except (OSError, ValueError) as error:
        raise PackageError(str(path), f"cannot be read ({error})", _AGAIN) from error
    return document


def _check_required(document: dict[str, object], path: Path) -> None:
    """A container installs what requirements.txt names, and torch is the handler's own affair."""
    needs = document["needs"] if isinstance(document["needs"], dict) else {}
    named = path.read_text() if path.is_file() else ""
    for package, version in needs.items():
        if package != "torch" and not re.search(rf"(?m)^\s*{re.escape(package)}(?![\w.-])", named):
            value = f"does not name {package}, which the variant {document['kind']} needs"
            raise PackageError(str(path), value, f"write {package}=={version} into it")
