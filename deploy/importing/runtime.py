"""The serving runtime, asked as a process: what it takes a folder for, and a .mar unpacked as it would be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.importing import ImportingError

KIT = Path(__file__).resolve().parents[2]
_SETTING = "SLIPWAY_HANDLER"
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Reading:
    """One way to take what is there: `choice` is what HANDLER= names it by, `text` what a person is told."""

    shape: str
    file: str
    choice: str
    text: str
    name: str = ""
    image: str = ""


def readings(files: Mapping[str, Path], view: Path, wanted: str = "") -> list[Reading]:
    """What the runtime may take these files for, or the one that `wanted` names; [] if for nothing.

    `view` is a folder that is not there yet: links in it show the runtime the files under their names. Raises
    ImportingError for what it refuses.
    """
    _show(files.items(), view)
    told = _asked({_SETTING: wanted} if wanted else {}, "recognise", str(view))
    shown = [{**each, "text": _without(view, each["text"])} for each in told["readings"]]
    return [
        Reading(each["shape"], each["file"], each["choice"], each["text"], each["name"], told["image"])
        for each in shown
    ]


def unpack(archive: Path, into: Path) -> None:
    """Unpack a .mar into an empty folder. ImportingError for one that is damaged or leads elsewhere."""
    _asked({}, "unpack", str(archive.absolute()), str(into.absolute()))


def _show(files: Iterable[tuple[str, Path]], view: Path) -> None:
    view.mkdir()
    for name, path in files:
        (view / name).parent.mkdir(parents=True, exist_ok=True)
        (view / name).symlink_to(path.absolute())


def _asked(settings: Mapping[str, str], *words: str) -> dict[str, Any]:
    # What this shell has set for another server must not decide what a folder is.
    theirs = ("SLIPWAY_", "SAGEMAKER_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    command = [sys.executable, "-m", "inference.serving.handlers", *words]
    done = subprocess.run(
        command,
        cwd=KIT,
        env={**own, **settings},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise ImportingError(f"the serving runtime failed: {(done.stderr or done.stdout).strip()}") from None
    if "error" in told:
        raise ImportingError(_without(Path(words[-1]), told["error"]).replace(_SETTING, "HANDLER"))
    return told


def _without(folder: Path, text: str) -> str:
    """The text without the folder that nobody but this process knows of."""
    return text.replace(f"{folder}/code: ", "").replace(f"{folder}: ", "").replace(str(folder), "FROM")
