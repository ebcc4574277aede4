"""`optimize`: the serving runtime, as a process, tries what makes the model lighter, and leaves the best."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import package, terminal
from deploy.package import variants

KIT = Path(__file__).resolve().parents[1]
NONE = "none"
_TRYING = re.compile(r"([0-9]+)/([0-9]+)  (\S+)")


class OptimizingError(Exception):
    """No variant could be made or chosen; the message says why or where it was said."""


@dataclass(frozen=True)
class Order:
    """What a person asked for: the variant's name, `none`, or "" for the best; the cosine that its answers
    must have at least; a file of instances to measure with, None for the samples."""

    choose: str
    cosine: float
    instances: Path | None


@dataclass(frozen=True)
class Place:
    """Model and code, where the variant goes, and what the container's environment has."""

    model: Path
    code: Path
    out: Path
    environment: Mapping[str, str]


def optimize(place: Place, order: Order) -> None:
    """Leave in `place.out` what is worth serving in the model's place; nothing where nothing is."""
    if order.choose == NONE:
        shutil.rmtree(place.out, ignore_errors=True)
        terminal.line("the model is packaged as it is")
        return
    package.check(place.code, place.model)
    if package.is_of_another_server(place.code):
        raise OptimizingError(
            f"{place.code}: holds a handler of another server; so far a class Handler alone can be optimized"
        )
    if not place.model.is_dir():
        raise OptimizingError(f"{place.model}: there is no model yet; `make train` makes one")
    place.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".optimizing-", dir=place.out.parent) as scratch:
        archive = package.build(place.model, place.code, Path(scratch) / "model.tar.gz")
        _run(place, [*_words(place, order), str(archive.path.absolute())])


def _words(place: Place, order: Order) -> list[str]:
    words = [sys.executable, "-m", "inference.serving", "optimize", "--out", str(place.out.absolute())]
    words += ["--cosine", str(order.cosine), "--made-for", variants.made_for(place.model, place.code)]
    if order.instances:
        words += ["--instances", str(order.instances.absolute())]
    return [*words, "--choose", order.choose] if order.choose else words


def _run(place: Place, words: list[str]) -> None:
    with subprocess.Popen(
        words,
        cwd=KIT,
        env={**os.environ, **place.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            said = _followed(process.stdout)
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reaches it as it reaches this process
            raise KeyboardInterrupt("stopped: nothing was changed") from None
    for line in said:
        terminal.line(line)
    if status:
        raise OptimizingError(f"nothing was chosen (exit status {status}): see what was printed above")


def _followed(printed: Iterable[str]) -> list[str]:
    """Show what is being tried, and return all that was printed beside that."""
    lines = (line.rstrip("\n") for line in printed)
    first = next(lines, "")
    begun = _TRYING.fullmatch(first)
    if begun is None:
        return [first, *lines] if first else []
    said = []
    with terminal.counting("try variants of the model", int(begun[2])) as show:
        show(0, begun[3])
        for line in lines:
            if trying := _TRYING.fullmatch(line):
                show(int(trying[1]) - 1, f"{trying[1]} of {trying[2]}: {trying[3]}")
            else:
                said.append(line)
    return said
