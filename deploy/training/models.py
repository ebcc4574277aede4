"""build/model: where it came from, whether a newer one is to be had, and how a new one takes its place.

Beside it lies build/model.json, which names the training job that made it and what its files looked like
then. A model that no longer looks so was made here, by hand or by `training/launch.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from deploy.target import TrainingJob

RECORD, WORKSHOP = "model.json", ".fetched-"
Choice = Literal["here", "fetch", "train"]


@dataclass(frozen=True)
class Here:
    """The model that lies here: the job it came from (empty: none) and when it was made, in UTC."""

    job: str
    made: datetime


def choose(here: Here | None, newest: TrainingJob | None) -> Choice:
    """Which model a deploy takes: the newer one. Pure."""
    if newest is None:
        return "here" if here else "train"
    if here is None:
        return "fetch"
    return "fetch" if newest.name != here.job and newest.ended > here.made else "here"


def sentence(here: Here | None, newest: TrainingJob | None) -> str:
    """Which model is in build/model, and why not the newest job's if it is not. Pure."""
    if here is None:
        return "none"
    if here.job:
        return f"of training job {here.job}, finished {_moment(here.made)}"
    older = f", after training job {newest.name}" if newest else ""
    return f"build/model, made here {_moment(here.made)}{older}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def here(build: Path) -> Here | None:
    """What lies in build/model; None if there is no file in it."""
    files = _files(build / "model")
    if not files:
        return None
    record = _record(build)
    if record.get("files") == _fingerprint(files):
        return Here(record["job"], datetime.fromisoformat(record["made"]))
    newest = max(changed for _, _, changed in files)
    return Here("", datetime.fromtimestamp(newest / 1e9, UTC))


def _record(build: Path) -> dict[str, str]:
    """What build/model.json says; empty where it is not there or not what `install` writes."""
    try:
        record = json.loads((build / RECORD).read_text())
        datetime.fromisoformat(record["made"])
        return {"job": str(record["job"]), "made": record["made"], "files": record["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _files(model: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of each file, in order."""
    found = []
    for folder, _, names in os.walk(model):
        for name in names:
            seen = Path(folder, name).lstat()
            place = Path(folder, name).relative_to(model)
            found.append((os.fsencode(place).decode("utf-8", "replace"), seen.st_size, seen.st_mtime_ns))
    return sorted(found)


def _fingerprint(files: list[tuple[str, int, int]]) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@contextmanager
def workshop(build: Path) -> Iterator[Path]:
    """A folder beside build/model, for the archive and the new model; it is gone afterwards.

    What killed runs left of theirs is removed, too: a lock tells a run that lives.
    """
    build.mkdir(parents=True, exist_ok=True)
    for left in build.glob(f"{WORKSHOP}*"):
        with _locked(left) as alone:
            if alone:
                shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=build))
    with _locked(place):
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether the lock could be had; it ends with the block, or with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def install(build: Path, new: Path, job: TrainingJob) -> Path | None:
    """Put the new model in the place of the last one, and record of which job it is.

    A last one that no job can give back is kept beside it; returns where. `new` lies in a workshop of the
    same build. Ctrl-C and SIGTERM wait until both renames are done.
    """
    record = {"job": job.name, "made": job.ended.isoformat(), "files": _fingerprint(_files(new))}
    written = new.with_name(RECORD)
    written.write_text(json.dumps(record, indent=1) + "\n")
    last, model = here(build), build / "model"
    kept = build / f"model-before-{job.name}" if last and not last.job else None
    replaced = kept or new.with_name("replaced")
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        if model.exists():
            model.rename(replaced)
        new.rename(model)
        written.replace(build / RECORD)
    finally:
        if replaced.exists() and not model.exists():
            replaced.rename(model)
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
    return kept
