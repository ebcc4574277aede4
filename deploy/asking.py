"""What an endpoint is asked, by the samples or a file, and what is shown of its answers."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy import package, terminal
from deploy.rollout import Place
from deploy.target import Answer, CloudError, Request

CONTENT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".npy": "application/x-npy",
}
SAMPLES = "samples.jsonl"
SHOWN_ANSWERS = 5


class AskError(Exception):
    """There is nothing to ask, or a sample was not answered; the message says which, and what to do."""


def samples(project: Path, name: str = SAMPLES) -> list[Request]:
    """A request for each line of inference/samples.jsonl, or of another file there; none without the file.

    It goes as what it is, a line of JSON Lines: as JSON, an instance that is a list would look like many.
    To a handler of another server it goes as JSON, which all of them read, and where a body is one request.
    """
    path = project / "inference" / name
    if not path.is_file():
        return []
    kind = CONTENT_TYPES[".json" if package.is_of_another_server(path.parent) else ".jsonl"]
    streams = package.streams(path.parent)
    lines = [text for text in path.read_bytes().splitlines() if text.strip()]
    return [Request(text, kind, streams=streams) for text in lines]


def file(project: Path, path: Path, content_type: str, accept: str) -> Request:
    """The file as a request; without a content type as what its name says."""
    kind = content_type or CONTENT_TYPES.get(path.suffix, "application/json")
    return Request(path.read_bytes(), kind, accept, streams=package.streams(project / "inference"))


def show(place: Place, request: Request) -> None:
    """Print the endpoint's answer; one that comes in pieces, as they come."""
    answer = place.target.invoke(place.config, request, _print)
    if not answer.body.endswith(b"\n") and not answer.content_type.endswith("npy"):
        _print(b"\n")


def _print(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def prove(place: Place, project: Path) -> None:
    """Have every sample answered by the endpoint; show the first answers, and how to get more."""
    requests = samples(project)
    if not requests:
        terminal.line("inference/samples.jsonl is not there: the endpoint was asked nothing")
        return
    timed = [_timed(place, number, request) for number, request in enumerate(requests, start=1)]
    answers = [answer for answer, _ in timed]
    median = statistics.median_low(seconds for _, seconds in timed)
    terminal.line(
        f"{place.config.name} answered {len(timed)} of {len(requests)} samples, {median * 1000:.1f} ms each"
        f"{_until_first(answers)}"
    )
    for request, answer in list(zip(requests, answers, strict=True))[:SHOWN_ANSWERS]:
        terminal.line(f"  {terminal.shown(request.body.decode())}")
        terminal.line(f"    -> {terminal.shown(answer.body.decode())}", style="green")
    _show_example(place, requests[0])


def watch(place: Place, project: Path) -> None:
    """Ask the endpoint every sample once. Raises CloudError, which says which sample has no answer."""
    for number, request in enumerate(samples(project), start=1):
        try:
            place.target.invoke(place.config, request)
        except CloudError as error:
            raise CloudError(f"sample {number} was not answered: {error}") from error


def _until_first(answers: Sequence[Answer]) -> str:
    first = [answer.first_ms for answer in answers if answer.first_ms is not None]
    return f", the first piece after {statistics.median_low(first):.1f} ms" if first else ""


def _show_example(place: Place, request: Request) -> None:
    terminal.line("\n# the same from Python:", style="dim")
    terminal.line(place.target.example(place.config, request))
    terminal.line("# end\n", style="dim")


def _timed(place: Place, number: int, request: Request) -> tuple[Answer, float]:
    start = time.perf_counter()
    try:
        answer = place.target.invoke(place.config, request)
    except CloudError as error:
        raise AskError(
            f"inference/samples.jsonl: the endpoint did not answer sample {number}: {error}"
        ) from error
    return answer, time.perf_counter() - start
