"""The image's Python environment, made in the builder stage: `python3 environment.py FOLDER`.

The build's arguments are read here, from the environment, and not by a shell: whatever stands in one is a
word for pip or is refused. torch comes first and from an index of its own, by its exact version: from PyPI it
would bring gigabytes of CUDA. The two indexes are never asked together: of one name in both, pip would take
the newer, whoever placed it there. Source: pip's documentation, `pip install`, --extra-index-url
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!]*")
DEVICE = re.compile(r"cpu|cu[0-9]{3}")
EXTRA = re.compile(r"[a-z][a-z0-9-]*")


class ArgumentError(ValueError):
    """A build argument that is not what it must be; the message names it, its value and what is right."""


@dataclass(frozen=True)
class Wanted:
    """What goes in: `first` from torch's index, then the requirements of these files from pip's own."""

    first: tuple[str, ...]
    index: str
    requirements: tuple[Path, ...]
    constraints: Path


def read(arguments: Mapping[str, str], here: Path) -> Wanted:
    """What the build's arguments ask for. Raises ArgumentError."""
    device, index = arguments.get("DEVICE", "cpu"), arguments.get("TORCH_INDEX", "")
    extras = _words(arguments, "EXTRAS", EXTRA, "words such as parquet")
    if not DEVICE.fullmatch(device):
        raise ArgumentError(f"DEVICE={device!r}: expected cpu, or cu and three digits such as cu126")
    first = _words(arguments, "TORCH", PINNED, "exact versions such as torch==2.13.0, or nothing")
    if first and not index.startswith(("https://", "http://")):
        raise ArgumentError(f"TORCH_INDEX={index!r}: expected an https:// address")
    files = [here / "serving" / name for name in _names(extras)]
    for missing in (path for path in files if not path.is_file()):
        raise ArgumentError(f"EXTRAS={arguments['EXTRAS']!r}: there is no inference/serving/{missing.name}")
    requirements = (*files, here / "handler" / "requirements.txt")
    return Wanted(first, f"{index.rstrip('/')}/{device}", requirements, here / "constraints.txt")


def _words(arguments: Mapping[str, str], name: str, form: re.Pattern[str], right: str) -> tuple[str, ...]:
    words = tuple(arguments.get(name, "").split())
    if not all(form.fullmatch(word) for word in words):
        raise ArgumentError(f"{name}={arguments[name]!r}: expected {right}")
    return words


def _names(extras: Sequence[str]) -> list[str]:
    return ["requirements.txt", *(f"requirements-{extra}.txt" for extra in extras)]


def commands(wanted: Wanted, folder: Path) -> list[list[str]]:
    """What is run, in this order. Pure."""
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"]
    # Without its dependencies, which then come from pip's own index as all the rest does.
    torch = [*pip, "--no-deps", "--index-url", wanted.index, *wanted.first]
    files = [word for path in wanted.requirements for word in ("-r", str(path))]
    every = [*pip, "-c", str(wanted.constraints), *wanted.first, *files]
    return [[sys.executable, "-m", "venv", str(folder)], *([torch] if wanted.first else []), every]


def main(argv: Sequence[str]) -> int:
    """Makes the environment in the folder; the exit status, pip's own where it fails."""
    try:
        wanted = read(os.environ, HERE)
    except ArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for command in commands(wanted, Path(argv[0])):
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
