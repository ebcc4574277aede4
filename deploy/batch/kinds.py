"""What a file is by its name, and how the platform is to read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy.batch.places import BatchError

JSONLINES, CSV, PARQUET = "application/jsonlines", "text/csv", "application/vnd.apache.parquet"
CONTENT_TYPES = {".jsonl": JSONLINES, ".ndjson": JSONLINES, ".csv": CSV, ".parquet": PARQUET}
EXPECTED = ".jsonl, .ndjson, .csv (each also with .gz) or .parquet"


@dataclass(frozen=True)
class Kind:
    content_type: str
    gzipped: bool = False

    @property
    def by_lines(self) -> bool:
        """Whether a record is a line, so that the platform may split a file."""
        return self.content_type != PARQUET

    @property
    def accept(self) -> str:
        """The form of the results unless another is asked for."""
        return CSV if self.content_type == CSV else JSONLINES

    def __str__(self) -> str:
        name = {JSONLINES: "JSON Lines", CSV: "CSV", PARQUET: "Parquet"}[self.content_type]
        return f"{name}, gzip-compressed" if self.gzipped else name


def is_input(name: str) -> bool:
    """Whether a file of INPUT counts at all: `_SUCCESS`, `.crc` and `_temporary/` of other tools do not."""
    return not any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)


def kind_of(name: str) -> Kind:
    """The kind that a file's name tells. Raises BatchError for a name that tells none."""
    path = PurePosixPath(name.lower())
    gzipped = path.suffix == ".gz"
    content_type = CONTENT_TYPES.get(path.with_suffix("").suffix if gzipped else path.suffix, "")
    if not content_type or (gzipped and content_type == PARQUET):
        raise BatchError(
            f"{name}: what it holds is told by its name, expected {EXPECTED}: "
            "rename it, or take it out of INPUT"
        )
    return Kind(content_type, gzipped)


def one_kind(names: Iterable[str]) -> Kind:
    """The kind that all the files share. Raises BatchError naming one file of each where they differ."""
    seen: dict[Kind, str] = {}
    for name in names:
        seen.setdefault(kind_of(name), name)
    if len(seen) > 1:
        (first, one), (second, other) = list(seen.items())[:2]
        raise BatchError(
            f"{one} is {first} and {other} is {second}: a run scores files of one kind; give each its own run"
        )
    return next(iter(seen))
