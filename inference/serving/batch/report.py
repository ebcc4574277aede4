"""What came of a run: per file and in all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference.serving.errors import escaped


@dataclass(frozen=True)
class FileReport:
    """One file: its records counted on both sides; `reason` where it failed, `again` False where an earlier
    run had finished it."""

    name: str
    rows_in: int = 0
    rows_out: int = 0
    rows_failed: int = 0
    reason: str = ""
    again: bool = True


@dataclass(frozen=True)
class Report:
    """All files of a run, where their answers are, and the seconds that scoring took."""

    output: Path
    files: tuple[FileReport, ...]
    seconds: float

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """The files that have no `.out`."""
        return tuple(one for one in self.files if one.reason)

    @property
    def status(self) -> int:
        """The status to exit with: 0 where every file has its answers."""
        return 1 if self.failed else 0


def text(report: Report) -> str:
    """The report as lines to read: failures first, the sums last."""
    kept = [one for one in report.files if not one.again]
    scored = [one for one in report.files if one.again and not one.reason]
    lines = [f"failed: {one.reason}" for one in report.failed]
    lines += [
        f"{report.output / one.name}.errors.jsonl: rows failed {one.rows_failed:,}"
        for one in report.files
        if one.rows_failed and not one.reason
    ]
    lines.append(f"files {len(report.files):,}: {', '.join(_counts(scored, kept, report.failed))}")
    done = [one for one in report.files if not one.reason]
    rows_in, rows_out, rows_failed = (
        sum(getattr(one, name) for one in done) for name in ("rows_in", "rows_out", "rows_failed")
    )
    lines.append(f"rows in {rows_in:,}, rows out {rows_out:,}, rows failed {rows_failed:,}")
    fresh = sum(one.rows_in for one in scored)
    rate = f" ({fresh / report.seconds:,.0f} rows/s)" if fresh and report.seconds > 0 else ""
    lines.append(f"scored in {report.seconds:.1f} s{rate}; answers in {report.output}")
    # A file's name may hold what a terminal obeys.
    return "\n".join(map(escaped, lines)) + "\n"


def _counts(scored: list[FileReport], kept: list[FileReport], failed: tuple[FileReport, ...]) -> list[str]:
    counts = [f"{len(scored):,} scored"]
    if kept:
        counts.append(f"{len(kept):,} finished by an earlier run and not repeated")
    if failed:
        counts.append(f"{len(failed):,} failed")
    return counts
