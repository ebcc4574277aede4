"""A batch prediction's results put back into the order of its input, each file's in an object of its own.

The service leaves the answers to all files together, in shards and in any order. They are read once, into a
spool on this machine's disk, and written from there; so memory stays the same however many there are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from deploy import terminal
from deploy.batch import results
from deploy.batch.counting import whole_lines
from deploy.batch.kinds import CSV
from deploy.batch.orders import Order
from deploy.batch.places import Remote
from deploy.batch.report import files as counted
from deploy.batch.results import Form
from deploy.batch.threads import in_threads
from deploy.config import Config
from deploy.gcp import answers, spool, storage
from deploy.gcp.answers import Answers, Slots, Whose
from deploy.gcp.spool import Spool
from deploy.gcp.storage import Content

STRANGE_HEADER = (
    "its header came back for other columns than its rows, as where the service asks for it alone: give the "
    "same command again"
)


@dataclass(frozen=True)
class Left:
    """What a job has left: objects of results and of errors, and what it said of failures itself."""

    objects: Sequence[Remote]
    said: Sequence[str] = ()


@dataclass(frozen=True)
class _Work:
    """One gathering."""

    config: Config
    order: Order
    spool: Spool
    slots: Slots


class _Failed(Exception):
    """A file has no result; the message says why."""


def gather(config: Config, order: Order, left: Left) -> dict[str, str]:
    """Make `<file>.out` of each of the job's files that has all its answers; why others have none, by name.

    A row that failed costs its file, unless failures are kept.
    """
    where = answers.slots(order)
    what = f"put the results of {counted(len(where.of))} in order"
    with terminal.working(what), spool.opened(where.size) as texts:
        found = Answers(texts, _whose(config, order, where), order.kind.by_lines)
        for place in left.objects:
            with storage.opened(config, place) as stream:
                for block in whole_lines(stream):
                    found.take(block)
        texts.seal()
        return _written(_Work(config, order, texts, where), found.why, [*left.said, *found.said])


def _whose(config: Config, order: Order, where: Slots) -> Whose:
    if order.kind.by_lines:
        return answers.by_key(where)
    numbers: dict[Content | str, list[int]] = {}
    contents = storage.contents(config, order.source)
    for number, file in order.wanted.items():
        place = order.source / file.name
        numbers[str(place)] = [number]
        if place.key in contents:
            numbers.setdefault(contents[place.key], []).append(number)
    return answers.by_file(where, numbers)


def _written(work: _Work, why: Mapping[int, str], said: Sequence[str]) -> dict[str, str]:
    wanted, wrong = work.order.wanted, dict[str, str]()
    whole = []
    for number, places in work.slots.of.items():
        if missing := work.spool.missing(places):
            reason = why.get(number) or next(iter(said), "the service says no reason")
            wrong[wanted[number].name] = _lacking(missing, len(places), reason)
        else:
            whole.append(number)
    headers = _headers(work, whole)
    tried = in_threads(lambda number: _try(work, number, headers), whole)
    return wrong | {wanted[number].name: text for number, text in zip(whole, tried, strict=True) if text}


def _lacking(missing: int, total: int, reason: str) -> str:
    return f"{missing:,} of {total:,} answers are missing: {reason}" if total > 1 else reason


def _try(work: _Work, number: int, headers: Mapping[int, bytes]) -> str:
    """Write the file's result; why there is none, or nothing."""
    file, order = work.order.files[number], work.order
    try:
        blocks = _blocks(work, number, headers)
        with storage.written(work.config, order.output / f"{file.name}.out") as out:
            _write(order, blocks, out)
    except _Failed as failed:
        return str(failed)
    return ""


def _write(order: Order, blocks: Iterable[bytes], out: BinaryIO) -> None:
    """Write the blocks. Raises _Failed where a row has failed, unless failures are kept."""
    if order.settings.on_error == "keep":
        for block in blocks:
            out.write(block)
        return
    # The container keeps failures in any case: see `transforms`.
    failures = results.read(_passed(blocks, out), Form(order.accept, kept=True, headed=order.headed)).failures
    if failures:
        raise _Failed(f"record {failures[0].record + 1:,}: {failures[0].reason}")


def _passed(blocks: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    for block in blocks:
        out.write(block)
        yield block


def _blocks(work: _Work, number: int, headers: Mapping[int, bytes]) -> Iterator[bytes]:
    """The file's result. Raises _Failed where its header is none of its columns."""
    places = work.slots.of[number]
    if not work.order.headed:
        return work.spool.blocks(places)
    columns = _columns(work, places)
    if columns not in headers:
        raise _Failed(STRANGE_HEADER)
    return chain([headers[columns]], work.spool.blocks(places[1:]))


def _headers(work: _Work, numbers: Iterable[int]) -> dict[int, bytes]:
    """The headers that came back, by how many columns they name.

    The container names the prediction's columns by the predictions that are in the same request. A request is
    no file's own here: with the header of one, it may hold nothing but rows that failed, or no row at all.
    """
    if not work.order.headed:
        return {}
    found = (work.spool.text(work.slots.of[number][0]) for number in numbers)
    return {_width(header): header for header in found}


def _columns(work: _Work, places: range) -> int:
    """How many columns the file's rows have: its first good one tells, and without one its header."""
    rows = (work.spool.text(place) for place in places[1:])
    good = (row for row in rows if not results.failure(row, CSV))
    return _width(next(good, work.spool.text(places[0])))


def _width(line: bytes) -> int:
    return len(next(csv.reader([line.decode().rstrip("\n")])))
