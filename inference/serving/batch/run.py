"""One run: look, unpack, score, count, put in place, report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.serving import log
from inference.serving.batch import engines, inputs, ledger, model, outputs
from inference.serving.batch.engines import Outcome
from inference.serving.batch.inputs import BadInput, Input
from inference.serving.batch.ledger import Entry, Ledger
from inference.serving.batch.outputs import Result
from inference.serving.batch.pieces import Piece, cut, size_for
from inference.serving.batch.progress import Progress
from inference.serving.batch.report import FileReport, Report
from inference.serving.codecs import media
from inference.serving.errors import Refusal
from inference.serving.handlers import shapes

# Entries are written at most this often, and for at most a part of the time, so that many small files do not
# cost a write of all entries each.
_COMMIT_S = 0.2
_COMMIT_PART = 10


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    source: Path
    output: Path
    model: Path
    header: str = "none"
    on_error: str = "fail"
    join: str = "none"
    accept: str = ""
    workers: int = 1
    engine: str = "local"
    env: Sequence[str] = ()


def run(options: Options) -> Report:
    """Score every input file that is not finished. StartError for what is wrong before any is scored."""
    found = inputs.find(options.source)
    inputs.check_places(options.source, options.output)
    accept = _accept(options, found[0].content_type)
    header = inputs.header_of(found, options.header)
    with outputs.held(options.output), model.at(options.model, options.output / outputs.MODEL) as at:
        settings = (
            found[0].content_type,
            accept,
            header,
            options.on_error == "keep",
            options.join == "input",
        )
        known = ledger.read(options.output)
        environment = _environment(options)
        made_by = (*settings, *environment)
        identities = [ledger.identity(one, at.digest, made_by) for one in found]
        files = [
            _File(one, identity, options.output) for one, identity in zip(found, identities, strict=True)
        ]
        finished = {one.source.name for one in files if _is_finished(one, known)}
        todo = [one for one in files if one.source.name not in finished]
        _forget(todo, known, options.output)
        plan = engines.Plan(at.folder, settings, options.workers, environment)
        seconds = _score(todo, _Records(options.output, known), options.engine, plan) if todo else 0.0
        reports = {name: _kept(known[name], name) for name in sorted(finished)}
        reports |= {one.source.name: one.report() for one in todo}
    return Report(options.output, tuple(reports[one.name] for one in found), seconds)


def _environment(options: Options) -> tuple[tuple[str, str], ...]:
    """The variables that answers depend on, as names and values: those named, those that choose a handler."""
    missing = [name for name in options.env if name not in os.environ]
    if missing:
        raise BadInput(f"--env {missing[0]}: no such variable is set; expected one of this process's own")
    return shapes.choosing(os.environ) + tuple((name, os.environ[name]) for name in sorted({*options.env}))


def _accept(options: Options, content_type: str) -> str:
    own = media.CSV if content_type == media.CSV else media.JSON_LINES
    try:
        chosen = media.accepted(options.accept, own).format
    except Refusal as refusal:
        raise BadInput(f"--accept: {refusal}") from None
    if chosen not in (media.CSV, media.JSON_LINES):
        raise BadInput(
            f"--accept {options.accept}: expected {media.JSON_LINES} or {media.CSV}, a line a record"
        )
    if options.join == "input" and chosen != own:
        raise BadInput(f"--join input answers in the input's own form; expected --accept {own}, or none")
    return chosen


@dataclass(eq=False)
class _File:
    """A file on its way: what was read and written so far, and why it failed, if it did."""

    source: Input
    identity: str
    folder: Path
    lines: int = 0
    rows: int = 0
    reason: str = ""
    size_done: int = 0
    told: bool = False
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.folder, self.source.name)

    def report(self) -> FileReport:
        result = self.result
        return FileReport(self.source.name, self.rows, result.rows_out, result.rows_failed, self.reason)

    def fail(self, reason: str) -> None:
        self.reason = reason
        self.result.drop()


def _is_finished(file: _File, known: Ledger) -> bool:
    name = file.source.name
    out, errors = outputs.out_path(file.folder, name), outputs.errors_path(file.folder, name)
    return ledger.is_finished(known.get(name), file.identity, out, errors)


def _kept(entry: Entry, name: str) -> FileReport:
    log.event(f"{name}: finished by an earlier run, same input, model and settings: not repeated")
    return FileReport(name, entry.rows_in, entry.rows_out, entry.rows_failed, again=False)


def _forget(todo: list[_File], known: Ledger, folder: Path) -> None:
    """Take away what another input, model or setting made: should a file fail now, it has no answers."""
    stale = [one.source.name for one in todo if known.pop(one.source.name, None)]
    for name in stale:
        outputs.out_path(folder, name).unlink(missing_ok=True)
        outputs.errors_path(folder, name).unlink(missing_ok=True)
    if stale:
        ledger.write(folder, known)


def _score(todo: list[_File], records: _Records, engine: str, plan: engines.Plan) -> float:
    """Score the files; the seconds it took, without the time to load the model."""
    log.event(f"files to score: {len(todo):,}")
    running = engines.start(engine, plan)
    progress = Progress(len(todo), sum(one.source.size for one in todo))
    try:
        for outcome in running.outcomes(_pieces(todo, plan.workers)):
            file = todo[outcome.piece.source]
            _take(file, outcome, records)
            _show(file, outcome, progress)
        records.commit()
        return progress.seconds
    finally:
        running.close()
        progress.clear()


def _show(file: _File, outcome: Outcome, progress: Progress) -> None:
    if file.reason and not file.told:
        file.told = True
        progress.clear()
        log.failure(file.reason)
    done = file.source.size if file.reason or outcome.piece.last else outcome.piece.upto
    progress.size_done += done - file.size_done
    progress.files_done += file.size_done < file.source.size == done
    file.size_done = done
    progress.add(outcome.rows)


def _pieces(todo: list[_File], workers: int) -> Iterator[Piece]:
    for number, file in enumerate(todo):
        for piece in cut(number, file.source, size_for(file.source, workers)):
            yield piece
            if file.reason:  # it has failed meanwhile: what is left of it is not worth a worker's time
                break


def _take(file: _File, outcome: Outcome, records: _Records) -> None:
    """Add a piece's outcome to its file."""
    if file.reason:
        return
    if outcome.trouble is not None:
        file.fail(f"{_place(file, outcome)}: {outcome.trouble[1]}")
        return
    try:
        file.result.begin()
        file.result.add(outcome.answer, outcome.headers)
        for line, reason in outcome.failures:
            file.result.add_failure(file.lines + line + 1, reason)
        file.lines += outcome.lines
        file.rows += outcome.rows
        if outcome.piece.last:
            _complete(file, records)
    except OSError as error:
        place = error.filename or file.folder
        file.fail(f"{file.source.path}: its answers cannot be written: {error.strerror} ({place})")


def _place(file: _File, outcome: Outcome) -> str:
    word = "row" if file.source.content_type == media.PARQUET else "line"
    line, first = outcome.trouble[0] if outcome.trouble else None, file.lines + 1
    if line is not None:
        return f"{file.source.path} {word} {first + line}"
    if outcome.lines:
        return f"{file.source.path} {word}s {first} to {file.lines + outcome.lines}"
    return f"{file.source.path} after {word} {file.lines}" if file.lines else str(file.source.path)


def _complete(file: _File, records: _Records) -> None:
    """Put a file's answers in place, if they are one for each of its records."""
    source, result = file.source, file.result
    if not inputs.unchanged(source):
        file.fail(f"{source.path}: it was changed while it was scored; start again when nobody writes to it")
    elif file.rows != result.rows_out:
        file.fail(f"{source.path}: rows in {file.rows:,}, rows out {result.rows_out:,}; expected as many")
    elif not file.lines:
        file.fail(f"{source.path}: it holds no record; expected at least one")
    else:
        records.add(file)


class _Records:
    """Finished files, recorded and then put in place."""

    def __init__(self, folder: Path, known: Ledger) -> None:
        self._folder = folder
        self._known = known
        self._waiting: list[_File] = []
        self._next = 0.0

    def add(self, file: _File) -> None:
        """Record a file now or with the next ones."""
        status, result = file.result.close(), file.result
        self._known[result.name] = Entry(
            file.identity, file.rows, result.rows_out, result.rows_failed, status.st_size, status.st_mtime_ns
        )
        self._waiting.append(file)
        if time.monotonic() >= self._next:
            self.commit()

    def commit(self) -> None:
        """Record what waits, then put it in place: in this order no `.out` is ever unknown.

        BadInput where that cannot be written: then nothing that is scored can be kept.
        """
        began = time.monotonic()
        try:
            if self._waiting:
                ledger.write(self._folder, self._known)
            for file in self._waiting:
                file.result.publish()
        except OSError as error:
            raise BadInput(
                f"what is finished cannot be put into {self._folder}: {error.strerror}; start again to go on"
            ) from None
        self._waiting.clear()
        ended = time.monotonic()
        self._next = ended + max(_COMMIT_S, _COMMIT_PART * (ended - began))
