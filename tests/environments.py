"""The Python environments that some tests need besides their own, each built once from its pins.

`python tests/environments.py` builds them all. Nothing is done for one that was built from what is asked for
today. A folder is at the kit's root: `.venv-sagemaker` and its like.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its folder's name, what is in it, and what it costs to build."""

    name: str
    requirements: Path
    cost: str
    first: str = ""  # installed by itself, before all else

    @property
    def place(self) -> Path:
        return ROOT / self.name

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"

    @property
    def built_from(self) -> Path:
        return self.place / "built-from"


SAGEMAKER = Environment(
    ".venv-sagemaker",
    ROOT / "tests" / "requirements-sagemaker.txt",
    cost="the SageMaker SDK, 1.5 GB",
    # By itself: the SDK needs torch, and would bring a CUDA build with it.
    first="torch",
)
VERTEX_SERVER = Environment(
    ".venv-vertex-server",
    ROOT / "tests" / "oracle_vertex" / "requirements.txt",
    cost="Google's prediction server, 300 MB",
)
SAGEMAKER_SERVER = Environment(
    ".venv-sagemaker-server",
    ROOT / "tests" / "oracle_sagemaker" / "requirements.txt",
    cost="AWS's inference toolkit and model server, 310 MB",
)
TORCHSERVE = Environment(
    ".venv-torchserve",
    ROOT / "tests" / "oracle_torchserve" / "requirements.txt",
    cost="TorchServe with a Java of its own, 180 MB",
)
ALL = (SAGEMAKER, VERTEX_SERVER, SAGEMAKER_SERVER, TORCHSERVE)


def build(wanted: Environment) -> None:
    """Make the environment anew unless it is there; a build that was cut short is begun again."""
    source = hashlib.sha256(PINS.read_bytes() + wanted.requirements.read_bytes()).hexdigest()
    if wanted.built_from.is_file() and wanted.built_from.read_text() == source:
        return
    print(f"building {wanted.name} for the tests ({wanted.cost}, once) …", file=sys.stderr)
    shutil.rmtree(wanted.place, ignore_errors=True)
    venv.create(wanted.place, with_pip=True)
    if wanted.first:
        _install(wanted, wanted.first)
    _install(wanted, "-r", str(wanted.requirements))
    wanted.built_from.write_text(source)


def _install(wanted: Environment, *what: str) -> None:
    pins = wanted.place / "constraints.txt"
    pins.write_text(_pins_beside(wanted.requirements.read_text()))
    command = [str(wanted.python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(pins), *what], check=True)


def _pins_beside(requirements: str) -> str:
    """The kit's pins, but for what the requirements pin themselves."""
    own = {line.partition("==")[0] for line in requirements.splitlines() if "==" in line}
    return "".join(
        line for line in PINS.read_text().splitlines(keepends=True) if line.partition("==")[0] not in own
    )


if __name__ == "__main__":
    for one in ALL:
        build(one)
