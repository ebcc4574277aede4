"""Requirements that another machine cannot install, or would install otherwise than this one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from deploy.checking.findings import Finding, error, warning
from deploy.checking.machine import markers, processor
from deploy.checking.requirements import Line
from deploy.checking.subject import Subject

_PATH = re.compile(r"\.{0,2}/|\.{1,2}$|~|file:|[A-Za-z]:[\\/]|[^\s@:]+\.(whl|tar\.gz|zip)$")
_REPOSITORY = re.compile(r"(git|hg|svn|bzr)\+")
_RELEASE = "release it to an index and name it with its version, or put its modules beside handler.py"


def found(subject: Subject) -> Iterator[Finding]:
    """What is wrong with each line; those that are for other systems alone count for nothing."""
    there = markers(processor(subject.machine_type))
    for line in subject.lines:
        marker = line.requirement.marker if line.requirement else None
        if line.option in _OPTIONS:
            yield _OPTIONS[line.option](line)
        elif not line.option and (marker is None or marker.evaluate(there)):
            yield from _requirement(line, subject.pins)


def _included(line: Line) -> Finding:
    value = f"{line.option} {line.value}: an image is built with inference/requirements.txt alone"
    return error(line.place, value, "write its lines in the place of this one")


def _editable(line: Line) -> Finding:
    value = f"installs a folder of this machine ({line.value or line.text}), which no image has"
    return error(line.place, value, _RELEASE)


def _second_index(line: Line) -> Finding:
    # Source: pip's documentation of --extra-index-url: it prefers no index, only the highest version.
    value = f"{line.option}: whoever registers a name of yours on the other index is installed in its place"
    return error(line.place, value, "name one index with --index-url that serves both")


def _found_elsewhere(line: Line) -> Finding:
    value = f"{line.option} {line.value}: what lies there is not where the image is built"
    return error(line.place, value, _RELEASE)


def _trusted(line: Line) -> Finding:
    value = f"{line.option} {line.value}: what is installed from there is not protected on its way"
    return warning(line.place, value, "use https with a certificate")


_OPTIONS: dict[str, Callable[[Line], Finding]] = {
    "-r": _included,
    "-c": _included,
    "-e": _editable,
    "--editable": _editable,
    "--extra-index-url": _second_index,
    "-f": _found_elsewhere,
    "--find-links": _found_elsewhere,
    "--trusted-host": _trusted,
}


def _requirement(line: Line, pins: dict[str, str]) -> Iterator[Finding]:
    address = (line.requirement.url or "") if line.requirement else line.text
    if _REPOSITORY.match(address):
        value = f"{line.text!r} needs git, which the image has not, and may be another commit tomorrow"
        yield error(line.place, value, _RELEASE)
    elif _PATH.match(address or line.text):
        yield error(line.place, f"{line.text!r} is a path of this machine, which no image has", _RELEASE)
    elif line.requirement is None and not address.startswith("https:"):
        yield error(line.place, f"{line.text!r} is no requirement", "write one as name==version")
    elif line.requirement is not None and not address:
        yield from _version(line, pins)


def _version(line: Line, pins: dict[str, str]) -> Iterator[Finding]:
    assert line.requirement is not None
    pin = pins.get(line.name, "")
    if pin and not line.requirement.specifier.contains(pin, prereleases=True):
        value = f"{line.text!r}, and the image is built with {line.name}=={pin}: both cannot be"
        yield error(line.place, value, f"write {line.name}=={pin}, or change it in constraints.txt")
    elif not (pin or line.version):
        value = f"{line.text!r} has no version: the image may have another than was checked"
        yield warning(line.place, value, f"write {line.name}==<the version you trained with>")
