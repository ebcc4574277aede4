"""A container of a real image, by the command line of podman or docker.

The tool runs in the foreground, as any other command of a container's: its output is the container's, its
exit status too, and a SIGTERM to it is handed on. What is left of the container is removed when it has ended;
what a killed local cloud left is known by its label and removed by the next.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from infra.local import processes
from infra.local.engines.asked import Asked, Folder, ImageMissing, Running
from infra.local.settings import PREFIX

LABEL = "slipway.local"  # its value: the home of the local cloud that runs it
NAME_LABEL = "slipway.container"  # which container of the cloud's it is, for who looks
PORT = 8080  # at which a container listens. Source: your-algorithms-inference-code
TOOL_S = 60.0  # for a word to the tool that waits for no container


class Images:
    """The engine by that tool, for the local cloud of that home."""

    has_paths = True

    def __init__(self, tool: str, home: Path) -> None:
        self._tool, self._label = tool, f"{LABEL}={home}"

    def check(self, image: str) -> None:
        """Raises ImageMissing for an image that is not in the tool's storage: nothing is pulled."""
        if self._said("image", "inspect", "--format", "{{.Id}}", image).returncode:
            raise ImageMissing(
                f"{self._tool} has no image {image}: build or pull it, or `{self._tool} tag` one"
            )

    def start(self, asked: Asked, on_line: Callable[[str], None]) -> Running:
        """Starts the container. What its environment holds is seen in no command line."""
        own = f"slipway-{secrets.token_hex(8)}"
        given = asked.environment
        # A line of a file cannot hold a line's end: such a value comes of the tool's own environment.
        inherited = {name: value for name, value in given.items() if "\n" in value}
        file = asked.command.cwd / "environment"
        _write(file, [f"{name}={value}" for name, value in given.items() if name not in inherited])
        options = [
            *(f"--name={own}", f"--label={self._label}", f"--label={NAME_LABEL}={asked.command.name}"),
            *(f"--env-file={file}", *(f"--env={name}" for name in inherited)),
        ]
        command = replace(
            asked.command,
            argv=(self._tool, "run", *options, *words_of(asked)),
            env={**inherited, **os.environ},
        )
        process = processes.start(command, on_line)
        return _Contained(process, lambda: self._remove([own]), lambda: self._pid_of(own))

    def clean(self) -> None:
        """Removes every container of a local cloud of this home. FileNotFoundError without the tool."""
        if not shutil.which(self._tool):
            place = f"{PREFIX}CONTAINERS={self._tool}"
            raise FileNotFoundError(f"{place}: {self._tool} is not on PATH: install it, or set process")
        left = self._said("ps", "--all", "--quiet", "--filter", f"label={self._label}").stdout.split()
        if left:
            self._remove(left)

    def _pid_of(self, name: str) -> int:
        # The tool's own process is not above it: docker's daemon starts it, and podman's monitor.
        said = self._said("inspect", "--format", "{{.State.Pid}}", name).stdout.strip()
        return int(said) if said.isdigit() else 0

    def _remove(self, names: Iterable[str]) -> None:
        self._said("rm", "--force", "--volumes", *names)

    def _said(self, *words: str) -> subprocess.CompletedProcess[str]:
        # An argument list that begins with the setting's own word, podman or docker.
        return subprocess.run(
            [self._tool, *words], capture_output=True, text=True, timeout=TOOL_S, check=False
        )


class _Contained:
    """A running container: the tool's process, and what is done once it has ended."""

    def __init__(
        self, process: processes.Process, remove: Callable[[], None], pid_of: Callable[[], int]
    ) -> None:
        self._process, self._remove, self._pid_of = process, remove, pid_of
        self._pid = 0
        self._removing = threading.Lock()
        self._removed = False

    @property
    def pid(self) -> int:
        """The first process in the container; asks the tool until it is known."""
        self._pid = self._pid or self._pid_of()
        return self._pid

    def wait(self, timeout: float | None = None) -> int | None:
        """As Process.wait; nothing of the container is left when it returns a status."""
        status = self._process.wait(timeout)
        if status is not None:
            self._leave_nothing()
        return status

    def stop(self, grace_s: float) -> int:
        """As Process.stop, likewise."""
        status = self._process.stop(grace_s)
        self._leave_nothing()
        return status

    def _leave_nothing(self) -> None:
        with self._removing:
            if not self._removed:
                self._remove()
                self._removed = True


def words_of(asked: Asked) -> list[str]:
    """What follows the tool's `run` and who the container is. Pure."""
    entrypoint, words = asked.entrypoint[:1], [*asked.entrypoint[1:], *asked.words]
    return [
        "--pull=never",  # what is run is what is here, never what a registry has under that name
        "--stop-timeout=0",  # whoever removes it has waited already
        *_network(asked),
        *(_volume(place, folder) for place, folder in asked.folders.items()),
        *(f"--entrypoint={one}" for one in entrypoint),
        *(asked.image, *words),
    ]


def _network(asked: Asked) -> list[str]:
    if asked.on_host:
        return ["--network=host"]
    return [f"--publish=127.0.0.1:{asked.port}:{PORT}"] if asked.port else []


def _volume(place: str, folder: Folder) -> str:
    return f"--volume={folder.path}:{place}{'' if folder.writable else ':ro'}"


def _write(file: Path, lines: Iterable[str]) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in lines))
