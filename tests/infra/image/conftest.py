"""A model of the tests' own, containers that serve it, and the same model served by a process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
import pytest
from waiting import until

PROBE = Path(__file__).with_name("probe.py")
HANDLER = """
import json, pathlib, time
class Handler:
    def load(self, model_dir):
        self.factor = json.loads(pathlib.Path(model_dir, "weights.json").read_text())
    def predict(self, instances):
        for one in instances:
            if isinstance(one, dict) and "sleep" in one:
                time.sleep(one["sleep"])
            if isinstance(one, dict) and "eat" in one:
                self.eaten = bytearray(one["eat"])
        return [self.answer(one) for one in instances]
    def answer(self, one):
        if isinstance(one, dict):
            return "done"
        return one if isinstance(one, str) else self.factor * one
"""


@dataclass
class Container:
    """A container that runs, or has ended, by its ID."""

    id: str

    def exec(self, *words: str, stdin: str = "") -> str:
        """What a command in it prints."""
        return images.run("podman", "exec", "-i", self.id, *words, input=stdin).stdout

    def probed(self) -> list[Any]:
        """What it answers to the probe, asked from inside: it may have no network."""
        return json.loads(self.exec("python3", "-", "8080", stdin=PROBE.read_text()))

    def ready(self) -> "Container":
        """Waits until it answers."""
        try:
            until(lambda: "slipway: ready" in self.log or not self.runs, 30)
        finally:
            assert self.runs, self.log
        return self

    @property
    def port(self) -> int:
        return int(images.run("podman", "port", self.id, "8080").stdout.rpartition(":")[2])

    @property
    def log(self) -> str:
        done = images.run("podman", "logs", self.id)
        return done.stdout + done.stderr

    def asked(self, what: str) -> str:
        return images.run("podman", "inspect", "--format", what, self.id).stdout.strip()

    @property
    def runs(self) -> bool:
        return self.asked("{{.State.Running}}") == "true"

    @property
    def status(self) -> int:
        """Its exit status, once it has ended."""
        return int(images.run("podman", "wait", self.id, timeout=60).stdout)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What SageMaker mounts as /opt/ml/model: a model that multiplies by three."""
    place = tmp_path / "model"
    write(place, HANDLER)
    return place


def write(place: Path, handler: str) -> None:
    (place / "code").mkdir(parents=True, exist_ok=True)
    (place / "weights.json").write_text("3")
    (place / "code/handler.py").write_text(handler)
    (place / "code/samples.jsonl").write_text("1\n2.5\n")


@pytest.fixture
def start(image: str, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Starts a container of the image, with podman's options; all are gone in the end."""
    started: list[Container] = []

    def begin(*options: str, words: tuple[str, ...] = ("serve",), of: str = image) -> Container:
        # conmon notes a kill for want of memory in a file of where it was started.
        done = images.run("podman", "run", "--detach", *options, of, *words, cwd=tmp_path)
        started.append(Container(done.stdout.strip()))
        return started[-1]

    yield begin
    for one in started:
        images.run("podman", "rm", "--force", "--time", "0", one.id)


@pytest.fixture
def answers_of_a_process(model: Path, tmp_path: Path) -> list[Any]:
    """What the same model answers where the runtime is a process of this machine."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(images.ROOT),
        "SAGEMAKER_BASE_DIR": str(model.parent),
        "SAGEMAKER_BIND_TO_PORT": "0",
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "inference.serving", "serve"]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
        try:
            until(lambda: "slipway: ready" in log.read_text(), 30)
            port = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            assert port is not None
            return json.loads(images.run(sys.executable, str(PROBE), port[1]).stdout)
        finally:
            process.terminate()
            process.wait(30)
