"""AWS's own training image, as the SageMaker SDK names it; the SDK has an environment of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ASK = """\
import sys
from pathlib import Path
from deploy import config
from deploy.aws import images
from deploy.target import CloudError
for place in map(Path, sys.argv[1:]):
    try:
        print(images.training_image(config.load(place)))
    except CloudError as error:
        print(error)
"""


def ask(python: Path | str, *places: Path) -> list[str]:
    """The image that is chosen for each of the projects, or why there is none, in one process."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**known, "PYTHONPATH": str(ROOT), "HOME": str(places[0])}
    command = [str(python), "-c", ASK, *map(str, places)]
    done = subprocess.run(
        command, env=environment, cwd=places[0], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-len(places) :]


@pytest.fixture
def without_image(project: Callable[..., Path]) -> Callable[[str, str], Path]:
    """A project that serves with this image on this machine, and names no image to train in."""

    def write(serving: str, machine: str = "ml.m7i.large") -> Path:
        place = project(f"iris{abs(hash((serving, machine)))}")
        text = (place / "deploy.toml").read_text().partition("[training]")[0]
        text = text.replace("slipway-serving:1", serving).replace("ml.m7i.large", machine)
        (place / "deploy.toml").write_text(text)
        return place

    return write


@pytest.mark.timeout(1800)  # the environment's own building included
def test_the_image_has_the_torch_that_serves_or_the_newest(sdk_python, without_image):
    of_cpu, of_gpu, newest, unknown = ask(
        sdk_python,
        without_image("slipway-serving:torch2.6-py312"),
        without_image("slipway-serving:torch2.6", "ml.g5.xlarge"),
        without_image("slipway-serving:1"),
        without_image("slipway-serving:torch0.1"),
    )
    repository = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training"
    assert of_cpu == f"{repository}:2.6-cpu-py312"
    assert of_gpu == f"{repository}:2.6-gpu-py312"
    found = re.fullmatch(re.escape(repository) + r":2\.([0-9]+)(\.[0-9]+)?-cpu-py3[0-9]+", newest)
    assert found and int(found[1]) >= 10
    none = "deploy.toml: [training]: image is missing, and AWS has none of PyTorch 0.1 ("
    assert unknown.startswith(f"{none}Unsupported pytorch version")
    assert unknown.endswith(": set image")


def test_without_the_sdk_one_sentence_names_both_ways_out(without_image):
    assert ask(sys.executable, without_image("slipway-serving:1")) == [
        "deploy.toml: [training]: image is missing, and the SageMaker SDK, which knows AWS's own images, is "
        "not installed: set image, or `pip install 'sagemaker>=3.8'`"
    ]
