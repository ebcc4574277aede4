"""A model folder with a handler of a few lines, and the command itself on files in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

KIT = Path(__file__).parents[4]
# Doubles what it is given; a few values make it misbehave.
HANDLER = """
import os, signal, time

class Handler:
    def load(self, model_dir):
        self.deaths = os.environ.get("DEATHS", "")

    def preprocess(self, instances):
        values = [self.value(one) for one in instances]
        if "refuse" in values:
            raise ValueError("no instance like this")
        return values

    def value(self, one):
        return one.get("x", one) if isinstance(one, dict) else one[0] if isinstance(one, list) else one

    def predict(self, values):
        if "crash" in values:
            raise RuntimeError("the model broke")
        if "die" in values and len(os.listdir(self.deaths)) < 2:
            open(os.path.join(self.deaths, str(os.getpid())), "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if "always" in values:
            os.kill(os.getpid(), signal.SIGKILL)
        if "drop" in values:
            return values[1:]
        if "sleep" in values:
            time.sleep(60)
        return [{"double": value * 2} if isinstance(value, int) else {"text": str(value)} for value in values]
"""


@dataclass
class Batch:
    """A place to run the command in: `source` is IN, `output` is OUT."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "in"

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def put(self, name: str, content: bytes | str | Iterable[Any]) -> Path:
        """An input file: its bytes, its text, or its JSON Lines records."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes | str):
            content = b"".join(orjson.dumps(record) + b"\n" for record in content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def handler(self, text: str) -> None:
        code = self.folder / "model/code"
        code.mkdir(parents=True, exist_ok=True)
        (code / "handler.py").write_text(text)

    def command(self, *options: str, source: Path | None = None) -> list[str]:
        words = [source or self.source, self.output, "--model", self.folder / "model", "--workers", "2"]
        return [sys.executable, "-m", "inference.serving", "batch", *map(str, words), *options]

    def settings(self) -> dict[str, Any]:
        """How the command is started, for subprocess."""
        environment = {**os.environ, "PYTHONPATH": str(KIT), **self.environment}
        return {"cwd": self.folder, "env": environment, "stdin": subprocess.DEVNULL}

    def run(self, *options: str, source: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = self.command(*options, source=source)
        return subprocess.run(command, **self.settings(), capture_output=True, text=True, timeout=60)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The command, running, at the head of a process group of its own."""
        return subprocess.Popen(
            self.command(*options),
            **self.settings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def out(self, name: str) -> list[Any]:
        """The answers to a file."""
        return [orjson.loads(line) for line in (self.output / f"{name}.out").read_bytes().splitlines()]

    def errors(self, name: str) -> list[Any]:
        path = self.output / f"{name}.errors.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]

    def files(self) -> list[str]:
        """All that lies in OUT, hidden files too."""
        found = (path for path in self.output.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.output).as_posix() for path in found)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    place = Batch(tmp_path)
    place.handler(HANDLER)
    return place


@pytest.fixture
def another(tmp_path: Path) -> Callable[[str], Batch]:
    """A second place, with a copy of nothing but the handler."""

    def make(name: str) -> Batch:
        place = Batch(tmp_path / name)
        place.handler(HANDLER)
        return place

    return make
