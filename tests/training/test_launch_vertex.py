"""training/launch_vertex.py as a custom job runs it: its data from a bucket, its model to a bucket."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import storage as cloud
from waiting import until

from training import launch, launch_vertex

GOOD = """
    import os, pathlib
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("new")
"""
TELLS = """
    import json, os, pathlib, sys
    told = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
    model = pathlib.Path(os.environ["SM_MODEL_DIR"])
    (model / "deep").mkdir()
    found = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*")
    told |= {"argv": sys.argv[1:], "train": {path.name: path.read_text() for path in found if path.is_file()}}
    (model / "deep" / "told.json").write_text(json.dumps(told))
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "plot").write_text("p")
"""


class Job:
    """A custom job's container: the code folder as it travels, and the bucket."""

    def __init__(self, folder: Path, storage: cloud.Storage) -> None:
        self.storage = storage
        self.code = folder / "code"
        self.folder = folder
        self.code.mkdir()
        for kit in (launch, launch_vertex):
            shutil.copy(str(kit.__file__), self.code)
        self.env = {
            **os.environ,
            "AIP_MODEL_DIR": "gs://bucket/jobs/7/model/",
            "STORAGE_EMULATOR_HOST": storage.url,
            "TMPDIR": str(folder),
        }

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        (self.code / "train.py").write_text(textwrap.dedent(script))
        return subprocess.Popen(
            [sys.executable, str(self.code / "launch_vertex.py"), *arguments],
            env={**self.env, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *arguments: str, **environment: str) -> tuple[int, str]:
        process = self.start(script, *arguments, **environment)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def left(self, prefix: str = "jobs/7/") -> dict[str, str]:
        objects = self.storage.objects.items()
        return {name.removeprefix(prefix): body.decode() for name, body in objects if name.startswith(prefix)}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with cloud.running(cloud.Storage()) as storage:
        yield Job(tmp_path, storage)


def test_the_model_lies_where_the_job_said_and_nothing_is_left_here(job: Job) -> None:
    assert job.run(GOOD) == (0, "training: gs://bucket/jobs/7/model/ has the model\n")
    assert job.left() == {"model/weights": "new"}
    assert sorted(path.name for path in job.folder.iterdir()) == ["code"]
    assert not list(job.code.rglob("*.pyc"))


def test_the_script_is_told_what_it_is_told_elsewhere(job: Job) -> None:
    job.storage.objects = {"data/a.csv": b"1", "data/deep/b.csv": b"2", "data-2/c.csv": b"3", "one.csv": b"4"}
    data = ["--channel", "train=gs://bucket/data", "--channel=test=gs://bucket/one.csv"]
    status, output = job.run(TELLS, *data, "--", "--epochs", "3", "--name=a b", "--rate", "-0.5")
    assert status == 0, output
    told = json.loads(job.left()["model/deep/told.json"])
    assert told["argv"] == ["--epochs", "3", "--name", "a b", "--rate", "-0.5"]
    assert json.loads(told["SM_HPS"]) == {"epochs": 3, "name": "a b", "rate": -0.5}
    assert json.loads(told["SM_CHANNELS"]) == ["test", "train"]
    assert told["train"] == {"a.csv": "1", "b.csv": "2"}
    assert told["SM_CURRENT_HOST"] in json.loads(told["SM_HOSTS"])
    assert job.left()["output/plot"] == "p"


def test_a_failure_has_the_scripts_status_and_traceback_and_leaves_no_model(job: Job) -> None:
    status, output = job.run(GOOD + "    raise ValueError('no flights')\n")
    assert status == 1
    assert "ValueError: no flights" in output.splitlines()[-1]
    assert output.splitlines()[-1].startswith("training: ")
    assert job.left() == {}


def test_checkpoints_come_back_and_are_kept_though_the_script_fails(job: Job) -> None:
    job.storage.objects = {"jobs/7/checkpoints/step-1": b"one"}
    script = """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"])
        assert (folder / "step-1").read_text() == "one"
        (folder / "step-2").write_text("two")
        raise SystemExit(3)
    """
    status, _ = job.run(script, AIP_CHECKPOINT_DIR="gs://bucket/jobs/7/checkpoints/")
    assert status == 3
    assert job.left() == {"checkpoints/step-1": "one", "checkpoints/step-2": "two"}
    assert sum(line.startswith("POST") for line in job.storage.requests) == 1


def test_checkpoints_may_lie_where_the_job_says(job: Job) -> None:
    job.storage.objects = {"kept/step-1": b"one", "jobs/7/checkpoints/step-1": b"another"}
    script = """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"])
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text((folder / "step-1").read_text())
        (folder / "step-2").write_text("two")
    """
    there = "--checkpoints=gs://bucket/kept/"
    status, output = job.run(script, there, AIP_CHECKPOINT_DIR="gs://bucket/jobs/7/checkpoints/")
    assert status == 0, output
    assert job.left("kept/") == {"step-1": "one", "step-2": "two"}
    assert job.left() == {"checkpoints/step-1": "another", "model/weights": "one"}


def test_a_cancelled_job_saves_its_checkpoints_and_no_model(job: Job) -> None:
    script = """
        import os, pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "last").write_text("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("half")
        print("waiting", flush=True)
        time.sleep(60)
    """
    process = job.start(script, AIP_CHECKPOINT_DIR="gs://bucket/jobs/7/checkpoints")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert job.left() == {"checkpoints/last": "saved"}
    until(lambda: sorted(path.name for path in job.folder.iterdir()) == ["code"])


def test_what_passes_by_itself_is_tried_again(job: Job) -> None:
    job.storage.objects = {"data/a.csv": b"1"}
    job.storage.faults = [503, None, "cut"]
    status, output = job.run(TELLS, "--channel", "train=gs://bucket/data")
    assert status == 0, output
    assert job.storage.faults == []


def test_the_token_comes_from_the_metadata_server(job: Job) -> None:
    job.storage.wants_token = True
    there = launch_vertex.Storage(job.storage.url, job.storage.url)
    (job.folder / "up").mkdir()
    (job.folder / "up" / "a").write_text("1")
    launch_vertex.upload(there, job.folder / "up", "gs://bucket/x")
    assert launch_vertex.fetch(there, "gs://bucket/x", job.folder / "down") == 1
    assert (job.folder / "down" / "a").read_text() == "1"


@pytest.mark.parametrize("name", ["data/../../out", "data//etc", "data/a\nb"])
def test_a_name_that_leads_out_of_its_folder_is_refused(job: Job, name: str) -> None:
    job.storage.objects = {name: b"x"}
    status, output = job.run(GOOD, "--channel", "train=gs://bucket/data")
    assert (status, output.count("\n")) == (1, 1)
    assert "is no path below it" in output


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--channel", "train"], {}, "--channel 'train': expected NAME=gs://BUCKET/PREFIX"),
        (["--channel", "code=gs://bucket/x"], {}, "a NAME but code"),
        (["--channel", "t=gs://bucket/x", "--channel", "t=gs://bucket/y"], {}, "expected each name once"),
        (["--channel", "t=gs://bucket/nothing"], {}, "no objects are there; expected the channel's data"),
        (["--channel", "t=gs://other/x"], {}, "404"),
        (["--", "3"], {}, "hyperparameter '3' has no name"),
        (["--", "--fast"], {}, "hyperparameter '--fast' has no value"),
        (
            [],
            {"AIP_MODEL_DIR": ""},
            "AIP_MODEL_DIR: '': expected gs://…; give the job a base output directory",
        ),
        ([], {"CLUSTER_SPEC": '{"cluster": {"workerpool0": ["a:1", "b:1"]}}'}, "2 machines; expected one"),
    ],
)
def test_a_job_that_cannot_be_run_is_one_plain_line(
    job: Job, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    status, output = job.run(GOOD, *arguments, **environment)
    assert (status, output.count("\n")) == (1, 1)
    assert output.startswith("training: ")
    assert words in output
    assert job.left() == {}
