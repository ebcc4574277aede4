"""A container as it is asked for, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra.local.processes import Command


class ImageMissing(Exception):
    """There is no such image; the message says where one was looked for."""


@dataclass(frozen=True)
class Asked:
    """One container: in two forms, of which an engine takes its own.

    `command` is the process that stands in for it. The rest is for a container of the image: its words are
    what follows the entry point, and `entrypoint` is put in the place of the image's own, if it is not empty.
    `folders` are those that it sees: by their places in it, whether it may write there. `port` is the one of
    127.0.0.1 at which it answers, 0 where it answers nobody. With `on_host` it has the machine's own network
    and listens at that port; else it listens at 8080, and 127.0.0.1 is its own.
    """

    command: Command
    image: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] = ()
    folders: Mapping[str, Folder] = field(default_factory=dict)
    port: int = 0
    on_host: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder of this machine that a container sees."""

    path: Path
    writable: bool = False


class Running(Protocol):
    """A container that was started. Its methods may be called from any thread; see processes.Process."""

    @property
    def pid(self) -> int:
        """The process of this machine that its work is done in or below; 0 while there is none."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the end and returns the exit status, None if `timeout` seconds pass first."""
        ...

    def stop(self, grace_s: float) -> int:
        """SIGTERM, SIGKILL `grace_s` seconds later, and waits for the end; returns the exit status."""
        ...


class Engine(Protocol):
    """What runs containers."""

    @property
    def has_paths(self) -> bool:
        """Whether a container sees its folders at the platform's own paths, such as /opt/ml."""
        ...

    def check(self, image: str) -> None:
        """Raises ImageMissing where no container of that image can be run."""
        ...

    def start(self, asked: Asked, on_line: Callable[[str], None]) -> Running:
        """Starts it and gives each line of its output to `on_line`, as processes.start does."""
        ...

    def clean(self) -> None:
        """Removes what a local cloud of this home left behind when it was killed."""
        ...
