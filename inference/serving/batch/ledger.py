"""What is finished in an output folder, so that a run that was killed goes on and repeats nothing.

OUT/.slipway-batch.json has an entry for each finished file: the identity of what made it, its counts, and
what its `.out` looked like when it was complete. The entry is written before the rename that puts the `.out`
in its place: an `.out` without an entry is not ours, an entry without an `.out` is work to be done again.

The identity covers the model's digest, the settings, and the input by its size and its time of change, not
by its content: a restart reads nothing of what is finished, and to copy a file is to change it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from inference.serving.batch.inputs import BadInput, Input
from inference.serving.errors import shown

FILE = ".slipway-batch.json"
PART = ".slipway-part"


@dataclass(frozen=True)
class Entry:
    """A finished file: what made it, what was counted, and its `.out`. Sizes in bytes."""

    identity: str
    rows_in: int
    rows_out: int
    rows_failed: int
    out_size: int
    out_mtime_ns: int


Ledger = dict[str, Entry]


def identity(source: Input, model: str, settings: tuple[object, ...]) -> str:
    """A digest that changes when the input, the model or a setting does."""
    known = json.dumps([source.name, source.size, source.changed_ns, model, *settings])
    return hashlib.sha256(known.encode()).hexdigest()


def read(folder: Path) -> Ledger:
    """The entries of an output folder. BadInput where the file is not ours."""
    path = folder / FILE
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != 1:
            raise ValueError(f"format {shown(document['format'])}, expected 1")
        return {name: _entry(entry) for name, entry in document["files"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path} cannot be read: {type(error).__name__}: {error}; give another OUT, or delete it"
        ) from None


def _entry(entry: dict[str, Any]) -> Entry:
    found = Entry(**{one.name: entry[one.name] for one in fields(Entry)})
    numbers = [getattr(found, one.name) for one in fields(Entry) if one.name != "identity"]
    if not isinstance(found.identity, str) or not all(type(number) is int for number in numbers):
        raise ValueError(f"{shown(entry)} is no entry")
    return found


def write(folder: Path, ledger: Ledger) -> None:
    """Replace the entries; a reader sees the old ones or the new ones."""
    part = folder / f"{FILE}{PART}"
    document = {"format": 1, "files": {name: asdict(entry) for name, entry in sorted(ledger.items())}}
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(folder / FILE)


def is_finished(entry: Entry | None, wanted: str, out: Path, errors: Path) -> bool:
    """Whether this `.out` is the finished one of that identity, and the list of its failures is there.

    BadInput where the `.out` is not of our making: what is not ours is not overwritten.
    """
    if not out.exists():
        return False
    if entry is None or not _made(entry, out.stat()):
        known = "is not known to" if entry is None else "was changed after it was written, says"
        raise BadInput(f"{out} is there and {known} {FILE}; move it away, or give another OUT")
    return entry.identity == wanted and errors.exists() == bool(entry.rows_failed)


def _made(entry: Entry, status: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns) == (entry.out_size, entry.out_mtime_ns)
