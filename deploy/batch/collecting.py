"""Results brought to OUTPUT, or read where they lie, and counted: nobody's word is taken for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deploy.batch import inputs, outputs, results
from deploy.batch.cloud import Cloud, Stored
from deploy.batch.counting import Readable, whole_lines
from deploy.batch.inputs import Inputs
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Place, Remote
from deploy.batch.report import Result
from deploy.batch.results import Answers, Failure, Form


@dataclass(frozen=True)
class Work:
    """A run: what is asked, of which files, and where what comes of it goes."""

    cloud: Cloud
    order: Order
    inputs: Inputs
    output: Place

    @property
    def names(self) -> list[str]:
        return [file.name for file in self.inputs.files]


class _Copied:
    """A stream that is copied and hashed as it is read."""

    def __init__(self, stream: Readable, copy: BinaryIO) -> None:
        self._stream, self._copy, self.hash = stream, copy, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        self._copy.write(data)
        return data


def collect(work: Work, file: File, stored: Stored) -> Result:
    """The file's result, with its failed rows beside it. Raises BatchError where rows are missing.

    A local OUTPUT gets the result whole, after its `errors.jsonl`, or does not get it.
    """
    place = Remote(work.order.output.scheme, work.order.output.bucket, stored.key)
    with work.cloud.storage.opened(work.cloud.config, place) as stream:
        if isinstance(work.output, Remote):
            answers = results.read(whole_lines(stream), _form(work.order))
            return _kept(work, file, answers, stored.digest)
        with outputs.written(work.output / f"{file.name}.out") as copy:
            copied = _Copied(stream, copy)
            answers = results.read(whole_lines(copied), _form(work.order))
            return _kept(work, file, answers, copied.hash.hexdigest())


def _form(order: Order) -> Form:
    return Form(order.accept, order.settings.on_error == "keep", order.headed)


def _kept(work: Work, file: File, answers: Answers, digest: str) -> Result:
    rows = answers.tally.records - work.order.headed
    if rows != file.rows:
        raise BatchError(
            f"{file.rows:,} rows in, {rows:,} rows out: a handler gives one prediction for each row, in order"
        )
    failures = answers.failures
    body = results.errors_file(failures, _lines(work, file, failures)) if failures else b""
    outputs.write(work.cloud, work.output, f"{file.name}.errors.jsonl", body)
    return Result(file.rows, rows, len(failures), digest)


def _lines(work: Work, file: File, failures: Sequence[Failure]) -> list[int]:
    """The lines of the input that the failures are about; it is read again only where a line is no record."""
    headed = work.order.settings.header == "strip"
    records = [failure.record for failure in failures]
    if not file.blank:
        return [record + 1 + headed for record in records]
    place = work.inputs.source / file.name
    with inputs.opened(work.cloud.storage, work.cloud.config, place) as raw:
        return results.lines_of(inputs.unpacked(raw, work.inputs.kind), records, headed)


def finished(work: Work, since: float) -> dict[str, Stored]:
    """The results that lie where the job leaves them, of those made at `since` (POSIX seconds) or later."""
    place = work.order.output
    # S3 tells whole seconds: what is as old as the job by its second is the job's.
    stored = [
        one for one in work.cloud.storage.listed(work.cloud.config, place) if _seconds(one) >= int(since)
    ]
    by_key = {one.key[len(place.key) :]: one for one in stored}
    found = results.matched(work.names, by_key, private=isinstance(work.output, Path))
    return {name: by_key[key] for name, key in found.items()}


def _seconds(one: Stored) -> float:
    return one.modified.timestamp()
