"""`report.json`: what a run made of each file. It tells a later run, too, which results are ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from deploy.batch.places import BatchError

NAME = "report.json"
RUNNING, DONE, FAILED = "running", "done", "failed"
SHOWN_FILES = 20


@dataclass(frozen=True)
class Result:
    """One file's result. `digest` is that of the `.out`: its SHA-256, or its object's in a store."""

    rows_in: int
    rows_out: int
    rows_failed: int
    digest: str


@dataclass(frozen=True)
class Report:
    """A run: each of its files with its result, or None where there is none yet.

    `earlier` are files whose results in OUTPUT are of older runs.
    """

    run: str
    state: str
    model: str
    job: str = ""
    files: Mapping[str, Result | None] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    @property
    def results(self) -> list[Result]:
        return [result for result in self.files.values() if result]


def to_json(report: Report) -> bytes:
    """The report as people and programs read it."""
    files = [{"name": name} | (asdict(result) if result else {}) for name, result in report.files.items()]
    counts = {key: sum(getattr(result, key) for result in report.results) for key in _COUNTS}
    head = {"run": report.run, "state": report.state, "model": report.model, "job": report.job}
    return (
        json.dumps(head | counts | {"files": files, "earlier": report.earlier}, indent=2, ensure_ascii=False)
        + "\n"
    ).encode()


_COUNTS = ("rows_in", "rows_out", "rows_failed")


def from_json(body: bytes, place: str) -> Report | None:
    """The report that a run left; None if there is none. Raises BatchError for a file of something else."""
    if not body:
        return None
    try:
        held = json.loads(body)
        files = {file.pop("name"): Result(**file) if file else None for file in held["files"]}
        return Report(held["run"], held["state"], held["model"], held["job"], files, tuple(held["earlier"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BatchError(
            f"{place}: no report of batch-transform: move it away, or name another OUTPUT"
        ) from None


def files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


def rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def lines(report: Report, output: str, wrong: Mapping[str, str]) -> Iterable[str]:
    """The report for a person; `wrong` says of files without a result why."""
    counts = {key: sum(getattr(result, key) for result in report.results) for key in _COUNTS}
    yield (
        f"{len(report.results):,} of {files(len(report.files))}, {rows(counts['rows_in'])} in, "
        f"{rows(counts['rows_out'])} out, {rows(counts['rows_failed'])} failed"
    )
    told = [name for name, result in report.files.items() if result and result.rows_failed]
    for name in told[:SHOWN_FILES]:
        result = report.files[name]
        yield f"  {name}: {rows(result.rows_failed if result else 0)} failed, see {name}.errors.jsonl"
    for name, why in list(wrong.items())[:SHOWN_FILES]:
        yield f"  {name}: {why}"
    if len(wrong) > SHOWN_FILES:
        yield f"  and {files(len(wrong) - SHOWN_FILES)} more"
    yield f"results in {output}, each as <file>.out{f'; job {report.job}' if report.job else ''}"
