"""The output folder: a file in it is whole or not there. Writes.

Everything is written under a name that begins with a dot and renamed when it is complete. One run at a time
has the folder, so what it finds under such names was left by one that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from inference.serving.batch.inputs import BadInput
from inference.serving.batch.ledger import PART

MODEL = ".slipway-model"


def out_path(folder: Path, name: str) -> Path:
    """Where a file's answers go."""
    return folder / f"{name}.out"


def errors_path(folder: Path, name: str) -> Path:
    """Where the records that failed are listed."""
    return folder / f"{name}.errors.jsonl"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have the output folder, made if need be, for oneself; what earlier runs left half-done goes, and so
    does what this one leaves. BadInput where it cannot be written or another run has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(f"OUT {folder} cannot be written: {error.strerror}; expected a folder") from None
    try:
        _lock(handle, folder)
        _check_writable(folder)
        _sweep(folder)
        try:
            yield
        finally:
            _sweep(folder)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(f"another run is writing into {folder}; wait for it, or give another OUT") from None
    except OSError as error:
        raise BadInput(f"OUT {folder} cannot be locked: {error.strerror}; expected a local folder") from None


def _check_writable(folder: Path) -> None:
    probe = folder / f".probe{PART}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise BadInput(
            f"OUT {folder} cannot be written: {error.strerror}; expected a folder of yours"
        ) from None


def _sweep(folder: Path) -> None:
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    for part in folder.rglob(f".*{PART}"):
        with contextlib.suppress(OSError):  # nothing depends on it: a part is never read, and opened anew
            part.unlink()


@dataclass(eq=False)
class Result:
    """One file's answers and failures as they come, under names that nobody takes for finished ones."""

    folder: Path
    name: str
    rows_out: int = 0
    rows_failed: int = 0
    _open: dict[str, IO[bytes]] = field(default_factory=dict)

    def begin(self) -> None:
        """Make room for the answers, so that a file without records has an empty one."""
        self._file(".out")

    def add(self, answer: bytes, headers: int) -> None:
        """Write lines of answers, `headers` of which are no records'."""
        self._file(".out").write(answer)
        self.rows_out += answer.count(b"\n") - headers

    def add_failure(self, line: int, reason: str) -> None:
        """Note a record that failed, by its line in the input, from 1."""
        self._file(".errors").write(json.dumps({"line": line, "reason": reason}).encode() + b"\n")
        self.rows_failed += 1

    def close(self) -> os.stat_result:
        """Complete both; what the answers will look like in their place. OSError where the disk is full."""
        for file in self._open.values():
            file.close()
        return self._part(".out").stat()

    def publish(self) -> None:
        """Put them in place, the answers last: once those are there, the file is finished."""
        if ".errors" in self._open:
            self._part(".errors").replace(errors_path(self.folder, self.name))
        else:
            errors_path(self.folder, self.name).unlink(missing_ok=True)
        self._part(".out").replace(out_path(self.folder, self.name))

    def drop(self) -> None:
        """Leave nothing of it."""
        for kind, file in self._open.items():
            with contextlib.suppress(OSError):
                file.close()
            self._part(kind).unlink(missing_ok=True)
        self._open.clear()

    def _file(self, kind: str) -> IO[bytes]:
        if kind not in self._open:
            self._part(kind).parent.mkdir(parents=True, exist_ok=True)
            self._open[kind] = self._part(kind).open("wb")
        return self._open[kind]

    def _part(self, kind: str) -> Path:
        # The name itself may be as long as a name may be.
        short = hashlib.sha256(self.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return out_path(self.folder, self.name).parent / f".{short}{kind}{PART}"
