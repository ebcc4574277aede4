"""Golden samples asked of the candidate and of the version in service, and what is told of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import asking, terminal
from deploy.plan import Change
from deploy.releasing import differences
from deploy.releasing.differences import Difference
from deploy.releasing.naming import CANDIDATE, named
from deploy.rollout import Place
from deploy.sections.release import Release
from deploy.target import Answer, CloudError, Request

GOLDEN = "golden.jsonl"


class Unlike(CloudError):
    """The new version answers otherwise than the one in service, and deploy.toml is strict about it."""


@dataclass(frozen=True)
class Asked:
    """The golden samples of a release, and where they stand."""

    requests: Sequence[Request]
    file: str


def golden(project: Path) -> Asked:
    """inference/golden.jsonl, else the samples. Raises AskError where neither has a line."""
    for name in (GOLDEN, asking.SAMPLES):
        if requests := asking.samples(project, name):
            return Asked(requests, f"inference/{name}")
    raise asking.AskError(
        f"deploy.toml: [release] is there, and neither inference/{GOLDEN} nor inference/{asking.SAMPLES} is, "
        "expected one of them with a request in each line"
    )


@dataclass(frozen=True)
class Replay:
    """What is asked when the candidate has been made; `compares` if a version is in service."""

    place: Place
    asked: Asked
    compares: bool

    def made(self, change: Change) -> None:
        """Ask a candidate that was just made. Raises Unlike, or CloudError where it does not answer."""
        if change.resource.kind == CANDIDATE and change.action == "create":
            release = self.place.config.release or Release()
            _tell(release, self, _replayed(self, change.resource.name, release))


def _replayed(replay: Replay, name: str, release: Release) -> dict[int, list[Difference]]:
    """What differs, by the numbers of the samples, which begin with 1."""
    beside = replace(replay.place, config=named(replay.place.config, name))
    found = {}
    with terminal.working(f"ask {name} {len(replay.asked.requests)} golden samples") as say:
        for number, request in enumerate(replay.asked.requests, start=1):
            say(f"sample {number}")
            new = _new(beside, request, f"{replay.asked.file}: sample {number}")
            if replay.compares and (old := _old(replay.place, request, number)):
                found[number] = differences.between(old, new, release.tolerance)
    return found


def _new(beside: Place, request: Request, where: str) -> Answer:
    try:
        return beside.target.invoke(beside.config, request)
    except CloudError as error:
        raise CloudError(f"{where} is not answered by the new version: {error}") from error


def _old(place: Place, request: Request, number: int) -> Answer | None:
    try:
        return place.target.invoke(place.config, request)
    except CloudError as error:
        terminal.aside(
            f"sample {number} is not answered by the version in service, and not compared: {error}"
        )
        return None


def _tell(release: Release, replay: Replay, found: dict[int, list[Difference]]) -> None:
    """Show what differs, the first differences and how many there are. Raises Unlike where it is strict."""
    if not replay.compares:
        terminal.line(f"{len(replay.asked.requests)} golden samples answered; no version is in service yet")
        return
    unlike = [(number, one) for number, many in found.items() for one in many]
    samples = len({number for number, _ in unlike})
    if not unlike:
        terminal.line(f"{len(found)} golden samples are answered as by the version in service")
        return
    told = f"{samples} of {len(found)} golden samples are answered otherwise than by the version in service"
    terminal.line(f"{told}, beyond [release] tolerance:", style="yellow")
    for number, one in unlike[: release.shown]:
        terminal.line(f"  sample {number}: {terminal.shown(str(one), 160)}")
    if more := len(unlike) - release.shown:
        terminal.line(f"  and {more} more differences") if more > 0 else None
    if release.strict:
        raise Unlike(
            f"{told}: [release] is strict, so the new version takes no traffic and is taken away again. If "
            "it is right, deploy with strict = false or a larger [release.tolerance]"
        )
