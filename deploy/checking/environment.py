"""The Python of a container: what the requirements name, and nothing of what happens to be installed here.

It is built once for each content of the requirements and kept; the next check with the same ones needs no
index. What was cut short, or changed since by anybody, is built anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from deploy.checking import installing
from deploy.target import Say

KIT = Path(__file__).resolve().parents[2]
CACHE = KIT / "build/check"
KEPT = 3  # environments; with torch in it one takes 700 MB and more
_READY = "ready.json"


@dataclass(frozen=True)
class Wanted:
    """What is to be installed: files of requirements, all that they include, and the pins beside them."""

    requirements: tuple[Path, ...]
    included: tuple[Path, ...]
    constraints: Path
    torch: bool = False  # whether a line names it

    @property
    def digest(self) -> str:
        """Another for every other content, Python and machine."""
        told = [platform.python_version(), platform.python_implementation(), sys.platform, platform.machine()]
        told += [getattr(sys, "_base_executable", sys.executable)]
        files = (*self.requirements, *self.included, self.constraints)
        told += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Environment:
    """A Python with what was wanted, and whether it had to be made first."""

    place: Path
    made: bool

    @property
    def python(self) -> Path:
        return self.place / "venv/bin/python"

    def packages(self) -> dict[str, str]:
        """The versions of what is installed, by the packages' names."""
        return {one.metadata["Name"]: one.version for one in distributions(path=self._site())}

    def _site(self) -> list[str]:
        return [str(path) for path in (self.place / "venv").glob("lib*/python*/site-packages")]


@contextlib.contextmanager
def held(wanted: Wanted, say: Say, cache: Path = CACHE) -> Iterator[Environment]:
    """The environment for these requirements, built if there is none, and not taken away meanwhile.

    Raises installing.Failed where something cannot be installed, and OSError; then nothing is left of it.
    """
    place = cache / wanted.digest
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(place, say) as lock:
        missing = not _is_whole(place)
        if missing:
            _build(place, wanted, say)
        (place / _READY).touch()  # the one that was used last is the last to go
        _forget_old(cache, place)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield Environment(place, missing)


def _build(place: Path, wanted: Wanted, say: Say) -> None:
    shutil.rmtree(place, ignore_errors=True)
    try:
        venv.EnvBuilder(with_pip=False, symlinks=True).create(place / "venv")
        python = place / "venv/bin/python"
        if wanted.torch and (pin := _pin("torch", wanted.constraints)):
            # By itself and by its exact version: any other request may pull gigabytes of CUDA.
            installing.install(python, wanted.constraints, [pin], say)
        files = [path for path in wanted.requirements if path.is_file()]
        installing.install(python, wanted.constraints, [f"-r{path}" for path in files], say)
        (place / _READY).write_text(json.dumps({"fingerprint": _fingerprint(place)}))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _pin(name: str, constraints: Path) -> str:
    lines = constraints.read_text().splitlines()
    return next((line.strip() for line in lines if line.startswith(f"{name}==")), "")


def _is_whole(place: Path) -> bool:
    try:
        told = json.loads((place / _READY).read_text())
        return bool(told["fingerprint"] == _fingerprint(place)) and _starts(place / "venv/bin/python")
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _starts(python: Path) -> bool:
    """Whether the Python that it was built from is still there."""
    done = subprocess.run([str(python), "-I", "-S", "-c", ""], capture_output=True, check=False)
    return done.returncode == 0


def _fingerprint(place: Path) -> str:
    """Of the name and size of every file; what Python compiles by itself aside."""
    total = hashlib.sha256()
    for folder, folders, files in os.walk(place / "venv"):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder, name)
            total.update(f"{path.relative_to(place)}\0{path.lstat().st_size}\0".encode())
    return total.hexdigest()


@contextlib.contextmanager
def _locked(place: Path, say: Say) -> Iterator[int]:
    """One check at a time builds an environment, and nobody removes one that is in use."""
    lock = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waits for another check")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _forget_old(cache: Path, used: Path) -> None:
    """Remove what was not used for longest; an environment that is being used or built stays."""
    for place in _by_age(cache)[KEPT:]:
        if place != used:
            with contextlib.suppress(OSError), _unused(place):
                shutil.rmtree(place, ignore_errors=True)


def _by_age(cache: Path) -> Sequence[Path]:
    """Those that were built, the one that was used last first."""
    ready = sorted(cache.glob(f"*/{_READY}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in ready]


@contextlib.contextmanager
def _unused(place: Path) -> Iterator[None]:
    lock = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
