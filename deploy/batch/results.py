"""What came back: records counted, failures found, and the lines of the input that they are about."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from deploy.batch.counting import Readable, Tally, add, whole_lines
from deploy.batch.kinds import CSV

# A field may be as long as a record; the module's own limit is 128 KB.
csv.field_size_limit(2**31 - 1)
ERROR_KEY = "slipway_error"
_MARK = ERROR_KEY.encode()


@dataclass(frozen=True)
class Failure:
    """A row without a prediction: which record of its file, from 0, and why."""

    record: int
    reason: str


@dataclass
class Answers:
    """What one result holds: its records, an answered header among them, and the failures."""

    tally: Tally = field(default_factory=Tally)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Form:
    """How a result is to be read."""

    accept: str
    kept: bool = False  # failed rows are answered in their place
    headed: bool = False  # the first record names the columns


def matched(names: Sequence[str], keys: Iterable[str], private: bool) -> dict[str, str]:
    """For each input file that has one its result, of keys relative to the output's place.

    The platform's own pages contradict one another about the folders in a key. In a place that is `private`
    to the run, where nobody else's results lie, it may therefore, besides `<name>.out`, be one that ends so,
    or whose end it is, or one of the same file name, where only one can be meant.
    Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformOutput.html, S3OutputPath
    """
    results = {key for key in keys if key.endswith(".out")}
    found = {name: f"{name}.out" for name in names if f"{name}.out" in results}
    for near in (_ends_with, _any) if private else ():
        found |= _only_ones(near, set(names) - set(found), results - set(found.values()))
    return found


def _only_ones(near: Callable[[str, str], bool], names: set[str], keys: set[str]) -> dict[str, str]:
    """Names and keys of one file name that are near one another, and no others."""
    by_file: dict[str, list[str]] = {}
    for key in keys:
        by_file.setdefault(PurePosixPath(key).name, []).append(key)
    pairs = [
        (name, key)
        for name in names
        for key in by_file.get(f"{PurePosixPath(name).name}.out", [])
        if near(f"/{name}.out", f"/{key}")
    ]
    of_name, of_key = Counter(name for name, _ in pairs), Counter(key for _, key in pairs)
    return {name: key for name, key in pairs if of_name[name] == of_key[key] == 1}


def _ends_with(one: str, other: str) -> bool:
    return one.endswith(other) or other.endswith(one)


def _any(one: str, other: str) -> bool:
    return True


def read(blocks: Iterable[bytes], form: Form) -> Answers:
    """Count a result's records and find its failed rows; `blocks` are of whole lines."""
    answers = Answers()
    for block in blocks:
        if form.kept and _MARK in block:
            answers.failures += _failures(block, answers.tally.records - form.headed, form)
        add(answers.tally, block)
    return answers


def _failures(block: bytes, first: int, form: Form) -> Iterator[Failure]:
    records = (line for line in block.split(b"\n") if line.strip())
    for number, line in enumerate(records, start=first):
        if _MARK in line and (reason := failure(line, form.accept)):
            yield Failure(number, reason)


def failure(line: bytes, accept: str) -> str:
    """Why a kept row failed; empty if it did not. Joined, the answer stands behind its row."""
    text = line.decode(errors="replace")
    if accept == CSV:
        cells = next(csv.reader([text]), [])
        return cells[-1] if cells[-2:-1] == [ERROR_KEY] else ""
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    if isinstance(answer, dict):
        answer = answer.get("SageMakerOutput", answer)
    failed = isinstance(answer, dict) and list(answer) == [ERROR_KEY]
    return str(answer[ERROR_KEY]) if failed else ""


def lines_of(stream: Readable, records: Sequence[int], headed: bool) -> list[int]:
    """The lines, from 1, on which these records of an input stand; `records` are in order, from 0."""
    wanted = iter(records)
    after, found = next(wanted, None), []
    tally = Tally()
    for block in whole_lines(stream):
        first, before = tally.records - headed, tally.lines
        add(tally, block)
        numbers = _filled(block, before)
        while after is not None and after < tally.records - headed:
            found.append(numbers[after - first])
            after = next(wanted, None)
    return found


def _filled(block: bytes, before: int) -> list[int]:
    return [number for number, line in enumerate(block.split(b"\n"), start=before + 1) if line.strip()]


def errors_file(failures: Sequence[Failure], lines: Sequence[int]) -> bytes:
    """`<file>.errors.jsonl`: for each failed row its line in the input and the reason."""
    rows = ({"line": line, "reason": failure.reason} for line, failure in zip(lines, failures, strict=True))
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
