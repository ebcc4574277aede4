"""Wheels that the container's machine cannot install: for another system, processor or Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from deploy.checking.findings import Finding, error
from deploy.checking.machine import processor, tags
from deploy.checking.subject import Subject

_FIX = "name the package by its version alone, so that the image's own wheel is taken"


def found(subject: Subject) -> Iterator[Finding]:
    """Wheels that requirements name, and those that lie beside the handler."""
    takes = tags(processor(subject.machine_type))
    for line in subject.lines:
        address = line.requirement.url if line.requirement else line.text
        yield from _named(line.place, address or "", takes, subject)
    for path in sorted((subject.model / "code").rglob("*.whl")):
        place = subject.place(path.relative_to(subject.model).as_posix())
        yield from _named(place, path.name, takes, subject)


def _named(place: str, address: str, takes: frozenset[Tag], subject: Subject) -> Iterator[Finding]:
    file = PurePosixPath(address.partition("#")[0].partition("?")[0]).name
    if not file.endswith(".whl"):
        return
    try:
        made_for = parse_wheel_filename(file)[3]
    except InvalidWheelFilename as wrong:
        yield error(place, str(wrong), _FIX)
        return
    if takes.isdisjoint(made_for):
        whose = ", ".join(sorted({f"{tag.interpreter} on {tag.platform}" for tag in made_for}))
        machine = f"{subject.machine_type} (Linux on {processor(subject.machine_type)})"
        yield error(place, f"{file} is for {whose}, and not for {machine}", _FIX)
