"""What can be told of a project without running it, each kind in a module of its own. They only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deploy.checking.findings import Finding
from deploy.checking.lints import images, paths, pickles, pinning, sizes, wheels
from deploy.checking.subject import Subject

ALL: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    sizes.found,
    pinning.found,
    wheels.found,
    images.found,
    pickles.found,
    paths.found,
)


def found(subject: Subject) -> list[Finding]:
    """Everything that is wrong, in the order of the parts."""
    return [finding for lint in ALL for finding in lint(subject)]
