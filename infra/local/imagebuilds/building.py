"""The image itself, where containers are containers of images: built by the tool that is to run it."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local import processes
from infra.local.imagebuilds.contexts import BuildFailed
from infra.local.settings import PROCESS, Settings

LOOK_S = 0.2  # how often it is looked whether the build is to stop
GRACE_S = 5.0


@dataclass(frozen=True)
class Order:
    """A build: the context's files by path, `docker build`'s options, which `contexts.command` has read.

    Each line that the tool prints is given to `on_line`, and once `stop` is set the build ends early.
    """

    files: Mapping[str, bytes]
    options: Sequence[str]
    image: str
    on_line: Callable[[str], None]
    stop: threading.Event


def build(settings: Settings, order: Order) -> None:
    """Builds the image and leaves it in the tool's storage; does nothing where containers are processes.

    Raises BuildFailed.
    """
    if settings.containers == PROCESS:
        return
    place = settings.places / f"build-{secrets.token_hex(8)}"
    try:
        _write(place, order.files)
        _run(settings.containers, place, order)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write(place: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _run(tool: str, place: Path, order: Order) -> None:
    options = [word for word in order.options if word != "."]
    argv = (tool, "build", *options, f"--tag={order.image}", ".")
    process = processes.start(processes.Command(argv, dict(os.environ), place, place.name), order.on_line)
    while (status := process.wait(LOOK_S)) is None:
        if order.stop.is_set():
            process.stop(GRACE_S)
            return
    if status:
        raise BuildFailed(f"{tool} build ended with exit status {status}")
