"""The archive's manifest, checked at start: what was packaged is what is here, and nothing else is.

code/manifest.json is {"format": 1, "files": {path: {"sha256": hex, "size": bytes}}}; it does not list itself.
Its own digest comes from outside, in SLIPWAY_MANIFEST_SHA256, so a changed manifest is seen too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError, shown

NAME = "code/manifest.json"


def digest(model_dir: Path) -> str | None:
    """The manifest's sha256, which is another for every other archive; None where there is none."""
    path = model_dir / NAME
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def check(model_dir: Path, expected: str | None) -> str:
    """Compare every file below model_dir with the manifest; one sentence for the log.

    StartError names the file that is missing, changed or not listed. Without `expected` a missing manifest is
    allowed, and the sentence says so.
    """
    path = model_dir / NAME
    if not path.is_file():
        if expected is not None:
            raise StartError(
                f"{NAME} is not in {model_dir}, and SLIPWAY_MANIFEST_SHA256 asks for it; package again"
            )
        return f"no {NAME} in {model_dir}: files are taken as they are"
    text = path.read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    if expected not in (None, digest):
        raise StartError(
            f"{NAME} has sha256 {digest}; expected {expected}: the archive is not the one deployed"
        )
    listed = _listed(text)
    _check_files(model_dir, listed)
    return f"manifest {digest[:12]}: {len(listed)} files are as they were packaged"


def _listed(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
        version, files = document["format"], document["files"]
        complete = all({"sha256", "size"} <= set(entry) for entry in files.values())
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StartError(f"{NAME} cannot be read: {type(error).__name__}: {shown(str(error))}") from None
    if version != 1 or not complete:
        raise StartError(f"{NAME}: format {shown(version)}; expected 1, with sha256 and size for every file")
    return dict(files)


def _check_files(model_dir: Path, listed: dict[str, Any]) -> None:
    found = dict(_files(model_dir))
    for name in sorted(set(listed) | set(found)):
        if name not in found:
            raise StartError(f"{shown(name)} is in {NAME} but not in {model_dir}; the archive is not whole")
        if name not in listed:
            raise StartError(
                f"{shown(name)} is in {model_dir} but not in {NAME}; only packaged files may be there"
            )
        _check_file(name, found[name], listed[name])


def _check_file(name: str, path: Path, entry: dict[str, Any]) -> None:
    size = path.stat().st_size
    if size != entry["size"]:
        raise StartError(
            f"{shown(name)} has {size} bytes; {NAME} says {entry['size']}: it is not what was packaged"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != entry["sha256"]:
        raise StartError(f"{shown(name)} has sha256 {digest}; {NAME} says {entry['sha256']}: it was changed")


def _files(model_dir: Path) -> Iterator[tuple[str, Path]]:
    """Every file but the manifest, by its name in the archive; Python's caches too, for their code runs."""
    for path in model_dir.rglob("*"):
        name = path.relative_to(model_dir).as_posix()
        if path.is_symlink():
            raise StartError(f"{shown(name)} is a link; an archive holds files and folders alone")
        if not path.is_dir() and name != NAME:
            yield name, path
