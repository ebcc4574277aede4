"""A container as a process of this machine: no image is needed, and none is looked for."""

from __future__ import annotations

from collections.abc import Callable

from infra.local import processes
from infra.local.engines.asked import Asked, Running


class Own:
    """The engine that needs nothing."""

    has_paths = False

    def check(self, image: str) -> None:
        """Any image will do: the settings say what is run for it."""

    def start(self, asked: Asked, on_line: Callable[[str], None]) -> Running:
        """Starts the process."""
        return processes.start(asked.command, on_line)

    def clean(self) -> None:
        """Nothing is left: when the local cloud dies, its processes end by themselves."""
