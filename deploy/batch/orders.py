"""What a run is, and what a job is asked for: pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from deploy.batch.kinds import CSV, Kind
from deploy.batch.places import BatchError, Remote
from deploy.sections import Batch

# What changes a result. Machines, limits and patience do not: files that are finished stay so.
RESULT_SETTINGS = ("header", "on_error", "join", "input_filter", "output_filter", "accept")
DEFAULT_PAYLOAD_MB, MAX_PAYLOAD_MB = 6, 100
# Source: the SageMaker API's TransformJobName. A number of four digits is left room for.
MAX_NAME, NUMBER = 63, 4
# Source: the SageMaker API's ModelClientConfig; it is 600 where nothing is said.
LONGEST_REQUEST_S = 3600


@dataclass(frozen=True)
class File:
    """An input file. `digest` is its SHA-256, or what its store knows its content by; `size` is in bytes.

    `rows` are its records, the header not counted; `blank` its lines that are none; `changed_ns` is when a
    local one was last changed.
    """

    name: str
    size: int
    digest: str
    rows: int
    blank: int = 0
    changed_ns: int = 0


@dataclass(frozen=True)
class Order:
    """What a run's jobs are to do with its files, and where results lie when they are done.

    `source` is where the files lie, or are brought to if they lie on this machine. One job of the run has a
    `number`, from 1 on, and the `names` of its files.
    """

    run: str
    model: str
    settings: Batch
    kind: Kind
    header: str
    files: tuple[File, ...]
    source: Remote
    output: Remote
    number: int = 0
    names: tuple[str, ...] = ()

    @property
    def accept(self) -> str:
        return self.settings.accept or self.kind.accept

    @property
    def headed(self) -> bool:
        """Whether a result's first line names its columns."""
        return bool(self.header) and self.settings.join == "input"

    @property
    def largest(self) -> int:
        """The bytes of the largest file."""
        return max(file.size for file in self.files)

    @property
    def wanted(self) -> dict[int, File]:
        """The job's files, by their places among the run's."""
        names = set(self.names)
        return {place: file for place, file in enumerate(self.files) if file.name in names}


def settings(batch: Batch, given: Mapping[str, Any]) -> Batch:
    """[batch] with what the command line says instead. Raises BatchError where the two do not go together."""
    said = {name: given[name] for name in ("header", "on_error", "join", "accept") if given.get(name)}
    try:
        return Batch.model_validate(batch.model_dump() | said)
    except ValidationError as error:
        raise BatchError("; ".join(str(wrong["msg"]) for wrong in error.errors())) from None


def patient(settings: Batch) -> Batch:
    """The settings with all the time that SageMaker grants a request, unless they say how long one may take.

    A handler of another server may be asked for each record alone, and a request holds as many as fit.
    """
    longest = settings.model_copy(update={"timeout_s": LONGEST_REQUEST_S})
    return settings if settings.timeout_s else longest


def run_id(model: str, files: Iterable[File], settings: Batch, output: str) -> str:
    """12 hex digits of all that the results depend on; `output` is a remote OUTPUT, or empty."""
    described = {
        "model": model,
        "files": [[file.name, file.digest, file.size] for file in files],
        "settings": settings.model_dump(include=set(RESULT_SETTINGS)),
        "output": output,
    }
    canonical = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def job_name(deployment: str, run: str, number: int) -> str:
    """The name of a run's job, from 1 on: names cannot be used again, not even a failed job's."""
    return f"{stem(deployment)}-{run}-{number}"


def stem(deployment: str) -> str:
    """What the names of a deployment's jobs begin with."""
    return deployment[: MAX_NAME - len("-0123456789ab-") - NUMBER].rstrip("-")


def job_number(deployment: str, run: str, name: str) -> int:
    """The number that `job_name` gave this job; 0 if it is none of the run's."""
    found = re.fullmatch(re.escape(f"{stem(deployment)}-{run}-") + r"([1-9][0-9]{0,3})", name)
    return int(found[1]) if found else 0


def is_job(deployment: str, name: str) -> bool:
    """Whether `job_name` could have made this name for one of the deployment's runs."""
    return re.fullmatch(re.escape(stem(deployment)) + r"-[0-9a-f]{12}-[1-9][0-9]{0,3}", name) is not None


def of_a_run(deployment: str, key: str) -> bool:
    """Whether an object is a run's own: beside the runs' folders an OUTPUT of somebody's may lie."""
    return re.match(re.escape(f"{deployment}/batch/") + "[0-9a-f]{12}/", key) is not None


def check_settings(settings: Batch, kind: Kind) -> None:
    """Raise BatchError for settings that do not go with files of this kind, whatever the cloud."""
    if settings.header == "strip" and kind.content_type != CSV:
        raise BatchError(f'[batch] header = "strip" is for CSV, and the input is {kind}: take it out')
    if settings.join == "input":
        check_processed("join", settings, kind)


def check_processed(what: str, settings: Batch, kind: Kind) -> None:
    """Raise BatchError where answers of files of this kind cannot be joined or filtered: `what` is asked for.

    Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
    """
    if not kind.by_lines:
        raise BatchError(
            f"[batch] {what}: a job has it for JSON Lines and CSV alone, and the input is {kind}: take it "
            "out, or score without a cloud (ENGINE=local or --engine local)"
        )
    if settings.accept not in ("", kind.content_type):
        raise BatchError(
            f"[batch] accept is {settings.accept!r}: with {what} the platform wants the input's form back, "
            f"expected {kind.content_type!r}"
        )
