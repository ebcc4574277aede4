"""What the tests of the check share: the verb in this process, and a subject for what only reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import config as configuration
from deploy.__main__ import main
from deploy.checking.subject import Subject
from deploy.package import Archive

ROOT = Path(__file__).parents[3]
ISOLATED = """
import tempfile
from pathlib import Path
from deploy.checking import isolation
with tempfile.TemporaryDirectory() as home:
    taken = isolation.isolate(False, [], Path(home))
raise SystemExit(not (taken.offline and taken.ordinary))
"""


@dataclass(frozen=True)
class Checked:
    """How a check ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def isolates() -> bool:
    """Whether this machine lets a process have a network and a user of its own."""
    done = subprocess.run([sys.executable, "-c", ISOLATED], cwd=ROOT, capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def needs_isolation(isolates: bool) -> None:
    if not isolates:
        pytest.skip("this machine lets no process have a network of its own")


@pytest.fixture
def checked(capfd: pytest.CaptureFixture[str]) -> Callable[..., Checked]:
    """Runs the verb on a project."""

    def run(place: Path, *options: str) -> Checked:
        capfd.readouterr()
        status = main(["check", "--project", str(place), *options])
        return Checked(status, *capfd.readouterr())

    return run


@pytest.fixture
def subject(project: Callable[..., Path], tmp_path: Path) -> Callable[..., Subject]:
    """A project's subject, with these requirements, these files in its archive, for this cloud."""

    def make(
        requirements: str = "", files: dict[str, bytes] | None = None, cloud: str = "aws", settings: str = ""
    ) -> Subject:
        place, model = project(), tmp_path / "ml/model"
        (place / "inference/requirements.txt").write_text(requirements)
        if settings:
            told = (place / "deploy.toml").read_text()
            (place / "deploy.toml").write_text(f"{told}\n{settings}")
        for name, content in {"weights.json": b"{}", **(files or {})}.items():
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            (model / name).write_bytes(content)
        return Subject(place, configuration.load(place), cloud, Archive(place, "0" * 64, 1, 1), model)

    return make
