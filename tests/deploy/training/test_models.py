"""build/model: where it came from, and that a new one takes its place whole or not at all."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.target import TrainingJob
from deploy.training import models
from deploy.training.models import Here

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def job(name: str = "iris-1", after: float = 0) -> TrainingJob:
    moment = NOON + timedelta(seconds=after)
    return TrainingJob(name, "Completed", "Completed", moment, moment)


def install(build: Path, weights: str, made: TrainingJob) -> None:
    with models.workshop(build) as place:
        (place / "model/deep").mkdir(parents=True)
        (place / "model/deep/weights").write_text(weights)
        models.install(build, place / "model", made)


@pytest.mark.parametrize(
    ("here", "newest", "choice"),
    [
        (None, None, "train"),
        (None, job(), "fetch"),
        (Here("", NOON), None, "here"),
        (Here("iris-1", NOON), None, "here"),
        (Here("iris-1", NOON), job("iris-1"), "here"),
        (Here("iris-1", NOON), job("iris-2", 1), "fetch"),
        (Here("iris-2", NOON), job("iris-1", -1), "here"),
        (Here("", NOON), job(after=1), "fetch"),
        (Here("", NOON), job(after=-1), "here"),
    ],
)
def test_the_newer_model_is_taken(here, newest, choice):
    assert models.choose(here, newest) == choice


def test_a_model_of_a_job_is_known_by_its_record(tmp_path):
    assert models.here(tmp_path) is None
    install(tmp_path, "1", job())
    assert models.here(tmp_path) == Here("iris-1", NOON)
    install(tmp_path, "2", job("iris-2", 1))
    assert models.here(tmp_path) == Here("iris-2", NOON + timedelta(seconds=1))
    assert (tmp_path / "model/deep/weights").read_text() == "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.json"]


@pytest.mark.parametrize("touch", ["bytes", "time", "another file", "record"])
def test_a_model_that_changed_since_was_made_here(tmp_path, touch):
    install(tmp_path, "1", job())
    weights = tmp_path / "model/deep/weights"
    if touch == "bytes":
        weights.write_text("12")
    elif touch == "another file":
        (tmp_path / "model/more").write_text("")
    elif touch == "record":
        (tmp_path / "model.json").write_text('{"job": []}')
    os.utime(weights, ns=(0, 5_000_000_000_000_000_000))
    assert models.here(tmp_path) == Here("", datetime.fromtimestamp(5e9, UTC))


def test_an_empty_folder_is_no_model(tmp_path):
    (tmp_path / "model/deep").mkdir(parents=True)
    assert models.here(tmp_path) is None


def test_a_model_that_cannot_take_the_place_leaves_the_last_one(tmp_path):
    install(tmp_path, "1", job())
    with pytest.raises(OSError), models.workshop(tmp_path) as place:
        models.install(tmp_path, place / "nothing", job("iris-2"))
    assert models.here(tmp_path) == Here("iris-1", NOON)
    assert (tmp_path / "model/deep/weights").read_text() == "1"


def test_a_model_that_was_made_here_is_kept_when_another_takes_its_place(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("mine")
    install(tmp_path, "1", job())
    assert (tmp_path / "model-before-iris-1/weights").read_text() == "mine"
    # One of a job is not: the job has it.
    install(tmp_path, "2", job("iris-2", 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model-before-iris-1", "model.json"]


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom deploy.training import models\n"
        "with models.workshop(Path(sys.argv[1])) as place:\n"
        "    print(place, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        with models.workshop(tmp_path):
            assert left.is_dir()
        process.kill()
        process.wait()
    with models.workshop(tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_which_model_is_used_is_one_sentence():
    assert models.sentence(Here("iris-1", NOON), job()) == (
        "of training job iris-1, finished 2026-11-22 12:00:00 UTC"
    )
    assert models.sentence(Here("", NOON), None) == "build/model, made here 2026-11-22 12:00:00 UTC"
    assert models.sentence(Here("", NOON), job(after=-1)) == (
        "build/model, made here 2026-11-22 12:00:00 UTC, after training job iris-1"
    )


def test_a_record_says_what_it_is(tmp_path):
    install(tmp_path, "1", job())
    record = json.loads((tmp_path / "model.json").read_text())
    assert (record["job"], record["made"]) == ("iris-1", NOON.isoformat())
