"""`train` in the image: the job's own launch.py runs the script, as root with /opt/ml to write to."""

import json
import shutil
from pathlib import Path

import images
import pytest

# The first test to need it waits for the image to be built.
pytestmark = pytest.mark.timeout(400)
SCRIPT = """
import json, os, pathlib, sys
if "--fail" in sys.argv:
    raise ValueError("no data to learn from")
if "--eat" in sys.argv:
    bytearray(1_000_000_000)
seen = {"arguments": sys.argv[1:], "user": os.geteuid(), "train": os.environ["SM_CHANNEL_TRAIN"]}
pathlib.Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """/opt/ml of a training job, as SageMaker lays it out."""
    place = tmp_path / "ml"
    code, config = place / "input/data/code", place / "input/config"
    for folder in (code, config, place / "input/data/train", place / "model"):
        folder.mkdir(parents=True)
    (code / "train.py").write_text(SCRIPT)
    shutil.copyfile(images.ROOT / "training/launch.py", code / "launch.py")
    (config / "inputdataconfig.json").write_text(json.dumps({"code": {}, "train": {}}))
    (config / "hyperparameters.json").write_text(json.dumps({"epochs": "3"}))
    return place


def trained(start, job, *options):
    return start("--network=none", f"--volume={job}:/opt/ml", *options, words=("train",))


def test_a_script_is_trained_with_its_hyperparameters_and_channels(start, job):
    assert trained(start, job).status == 0
    seen = json.loads((job / "model/seen.json").read_text())
    assert seen == {"arguments": ["--epochs", "3"], "user": 0, "train": "/opt/ml/input/data/train"}


def test_a_script_that_fails_ends_the_container_and_says_why(start, job):
    (job / "input/config/hyperparameters.json").write_text('{"fail": "1"}')
    assert trained(start, job).status == 1
    assert "no data to learn from" in (job / "output/failure").read_text()


def test_row_10_a_script_that_takes_more_memory_than_there_is_ends_with_137(start, job):
    (job / "input/config/hyperparameters.json").write_text('{"eat": "1"}')
    assert trained(start, job, "--memory=100m", "--memory-swap=100m").status == 137


def test_a_job_without_its_program_is_told_what_lacks(start, job):
    (job / "input/data/code/launch.py").unlink()
    container = trained(start, job)
    assert container.status == 2
    assert "/opt/ml/input/data/code/launch.py is not there" in container.log
