"""Whether there are wheels for the container's machine, where it is not like this one (macOS, Graviton)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from deploy.checking import installing
from deploy.checking.environment import CACHE, Wanted
from deploy.checking.machine import platforms
from deploy.target import Say


class NoWheel(installing.Failed):
    """Something has no wheel for that machine; the message holds pip's own lines."""


def resolve(wanted: Wanted, architecture: str, say: Say, cache: Path = CACHE) -> None:
    """Have pip find a wheel for that processor for everything that is wanted; it installs none.

    Asked once for the same requirements. Raises NoWheel.
    """
    done = cache / f"{wanted.digest}.{architecture}"
    if done.is_file():
        return
    with tempfile.TemporaryDirectory() as nowhere:
        words = ["install", "--dry-run", f"--target={nowhere}", "--only-binary=:all:", "--implementation=cp"]
        words += [f"--python-version={sys.version_info.major}.{sys.version_info.minor}"]
        words += [f"--platform={name}" for name in platforms(architecture)]
        files = [path for path in wanted.requirements if path.is_file()]
        words += ["-c", str(wanted.constraints), *(f"-r{path}" for path in files)]
        try:
            installing.run(Path(sys.executable), words, say)
        except installing.Failed as failed:
            raise NoWheel(str(failed)) from None
    cache.mkdir(parents=True, exist_ok=True)
    done.touch()
