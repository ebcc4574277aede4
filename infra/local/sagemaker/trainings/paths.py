"""The folders of a job's container: /opt/ml is a private folder, since a process has no mount of its own.

So the literal path is rewritten in what SageMaker hands to a container, and in the programs that travel with
the job. What a script makes of `"/opt/" + "ml"` cannot be seen: scripts read the environment's variables. A
container of a real image has the folder at its literal path, and nothing is rewritten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

OPT_ML = "/opt/ml"
CHECKPOINTS = OPT_ML + "/checkpoints"
# The path and what lies below it: no /opt/mlflow, no /srv/opt/ml.
_LITERAL = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")
PROGRAM_BYTES = 2 * 1024 * 1024  # more is no program


@dataclass(frozen=True)
class Folders:
    """The private folders of one job; `literal` where its container has them as /opt/ml."""

    place: Path
    literal: bool = False

    @property
    def ml(self) -> Path:
        """What a container has as /opt/ml."""
        return self.place / "opt" / "ml"

    @property
    def config(self) -> Path:
        """hyperparameters.json and its kin."""
        return self.ml / "input" / "config"

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.ml / "model"

    @property
    def output(self) -> Path:
        """What becomes output.tar.gz."""
        return self.ml / "output" / "data"

    @property
    def failure(self) -> Path:
        """The file with the reason of a failure."""
        return self.ml / "output" / "failure"

    @property
    def python(self) -> Path:
        """The container's Python environment."""
        return self.place / "python"

    def channel(self, name: str) -> Path:
        """An input channel's data."""
        return self.ml / "input" / "data" / name

    def of(self, path: str) -> Path:
        """The private folder that stands for a path below /opt/ml."""
        return Path(self._private(path))

    def make(self) -> None:
        """Makes every folder that a container has when it starts."""
        private = [self.place / name for name in ("home", "tmp")]
        for folder in (self.config, self.ml / "input" / "data", self.model, self.output, *private):
            folder.mkdir(parents=True, exist_ok=True)

    def rewritten(self, text: str) -> str:
        """The text with the private folder in place of /opt/ml, where the container needs it."""
        return text if self.literal else self._private(text)

    def _private(self, text: str) -> str:
        return _LITERAL.sub(lambda _: str(self.ml), text)

    def rewrite_programs(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        """Does so in the text files with such suffixes ("" for all) below the folder."""
        for path in folder.rglob("*"):
            if path.is_file() and path.name.endswith(suffixes) and path.stat().st_size <= PROGRAM_BYTES:
                self._rewrite(path)

    def _rewrite(self, path: Path) -> None:
        try:
            before = path.read_bytes().decode()
        except UnicodeDecodeError:
            return
        after = self.rewritten(before)
        if after != before:
            path.write_bytes(after.encode())


def is_below_opt_ml(path: str) -> bool:
    """Whether it is a path below /opt/ml, and stays there."""
    parts = path.split("/")
    return path.startswith(OPT_ML + "/") and ".." not in parts and any(parts[3:])
