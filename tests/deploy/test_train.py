"""`train`: jobs on the tests' own local clouds, followed to their end, stopped, and taken away."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import clouds
import pytest
from clouds.trainings import LOOK, MACHINE, START, TRAIN, UPLOAD, configure, factor, recorded
from waiting import until

from deploy.target import CloudError

ROOT = Path(__file__).parents[2]
BUCKET = "slipway-tests"
WAIT_FOR = """\
import pathlib, time
print("waiting", flush=True)
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.05)
"""
SLOW = "import time\nprint('waiting', flush=True)\ntime.sleep(60)\n"


def test_a_training_is_a_job_whose_lines_metrics_and_model_come_back(untrained, deploy, cloud, jobs, capsys):
    (untrained / "data/train").mkdir(parents=True)
    (untrained / "data/train/scale.txt").write_text("10")
    configure(
        untrained,
        '[training.hyperparameters]\nfactor = 1.5\n[training.metrics]\nfactor = "factor=([0-9.]+)"\n',
    )
    assert deploy(untrained, "train") == 0
    told = capsys.readouterr().out
    (job,) = jobs()
    assert f"training job {job.name} on {MACHINE[cloud.name]}\n" in told
    assert told.count("\nfactor=15\n") == 1
    assert re.search(rf"^training job {job.name} completed, \d+ s billed  factor 15$", told, re.MULTILINE)
    assert factor(untrained) == 15
    assert recorded(untrained) == job.name
    assert sorted(path.name for path in (untrained / "build").iterdir()) == ["model", "model.json"]


def test_a_training_that_fails_says_why_and_the_last_model_stays(iris, deploy, jobs, capsys):
    (iris / "training/train.py").write_text("raise RuntimeError('no such column')\n")
    assert deploy(iris, "train") == 1
    told = capsys.readouterr()
    assert "Traceback (most recent call last)" in told.out
    assert "RuntimeError: no such column" in told.out
    last = told.err[told.err.index("error: ") :]
    assert last.startswith(f"error: training job {jobs()[0].name} failed: ")
    assert "RuntimeError: no such column" in last
    assert last.endswith("; the last model is as it was\n")
    assert factor(iris) == 2
    assert sorted(path.name for path in (iris / "build").iterdir()) == ["model"]


def test_a_training_that_leaves_no_model_is_no_success(untrained, deploy, capsys):
    (untrained / "training/train.py").write_text("print('done')\n")
    assert deploy(untrained, "train") == 1
    assert "left no file; expected the model in the folder SM_MODEL_DIR names" in capsys.readouterr().err
    assert not (untrained / "build/model").exists()


def test_what_was_uploaded_once_is_not_uploaded_again(untrained, deploy, cloud, calls):
    (untrained / "data/train").mkdir(parents=True)
    (untrained / "data/train/scale.txt").write_text("10")
    assert deploy(untrained, "train") == 0
    assert calls[UPLOAD[cloud.name]] == 4  # the script, a launcher for each cloud, the data
    assert deploy(untrained, "train") == 0
    assert calls[UPLOAD[cloud.name]] == 4
    (untrained / "data/train/scale.txt").write_text("20")
    assert deploy(untrained, "train") == 0
    assert calls[UPLOAD[cloud.name]] == 5
    assert factor(untrained) == 140
    (untrained / "training/train.py").write_text(TRAIN.replace("default=7", "default=8"))
    assert deploy(untrained, "train") == 0
    assert calls[UPLOAD[cloud.name]] == 8
    assert factor(untrained) == 160


TELLS = """\
import json, os, pathlib, sys
told = {"argv": sys.argv[1:], "hps": json.loads(os.environ["SM_HPS"]), "channels": {}}
for name in json.loads(os.environ["SM_CHANNELS"]):
    folder = pathlib.Path(os.environ[f"SM_CHANNEL_{name.upper()}"])
    files = [path for path in folder.rglob("*") if path.is_file()]
    told["channels"][name] = {str(path.relative_to(folder)): path.read_text() for path in files}
pathlib.Path(os.environ["SM_MODEL_DIR"], "deep").mkdir()
pathlib.Path(os.environ["SM_MODEL_DIR"], "deep/told.json").write_text(json.dumps(told))
"""


def test_the_script_gets_the_same_on_either_cloud(untrained, deploy, cloud):
    (untrained / "training/train.py").write_text(TELLS)
    (untrained / "data/here/deep").mkdir(parents=True)
    (untrained / "data/here/deep/a.csv").write_text("1,2\n")
    cloud.storage.put(cloud.uri("iris/elsewhere/b.csv"), "3,4\n")
    configure(
        untrained,
        "[training.hyperparameters]\n"
        'shuffle = true\nrate = -0.5\nepochs = 3\nnote = "-x --y a=b"\nempty = ""\nalone = "--"\n'
        f'[training.channels]\nhere = "data/here"\nthere = "{cloud.uri("iris/elsewhere/")}"\n',
    )
    assert deploy(untrained, "train") == 0
    told = json.loads((untrained / "build/model/deep/told.json").read_text())
    given = {
        "shuffle": "true",
        "rate": "-0.5",
        "epochs": "3",
        "note": "-x --y a=b",
        "empty": "",
        "alone": "--",
    }
    assert told["argv"] == [word for name, value in given.items() for word in (f"--{name}", value)]
    assert told["hps"] == {**given, "shuffle": True, "rate": -0.5, "epochs": 3}
    assert told["channels"] == {"here": {"deep/a.csv": "1,2\n"}, "there": {"b.csv": "3,4\n"}}
    cloud.storage.remove(cloud.uri("iris/elsewhere/"))


SAVES = """\
import os, pathlib, time
saved = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "step")
step = int(saved.read_text()) if saved.exists() else 0
saved.write_text(str(step + 1))
if step == 0:
    print("waiting", flush=True)
    time.sleep(60)
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text('{"factor": %d}' % (100 + step))
"""


def test_a_spot_job_that_was_stopped_is_gone_on_with_by_the_next(untrained, deploy, cloud, jobs, capsys):
    (untrained / "training/train.py").write_text(SAVES)
    configure(untrained, "spot = true\n")
    with beginning(untrained, cloud) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    until(lambda: jobs()[0].state == "Stopped")
    assert deploy(untrained, "train") == 0
    assert f"on {MACHINE[cloud.name]} (spot)\n" in capsys.readouterr().out
    assert factor(untrained) == 101


def test_a_secret_in_the_script_is_refused_before_anything_is_sent(untrained, deploy, cloud, calls, capsys):
    (untrained / "training/train.py").write_text(TRAIN + "# AKIA" + "A1B2C3D4E5F6G7H8\n")
    assert deploy(untrained, "train") == 1
    assert "training/train.py:11: looks like an AWS access key id: take it out" in capsys.readouterr().err
    assert calls.total() == 0


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_every_call_of_s3_names_the_account_that_must_own_the_bucket(untrained, deploy, fresh):
    (untrained / "data/train").mkdir(parents=True)
    (untrained / "data/train/scale.txt").write_text("10")
    configure(untrained, f'[training.channels]\ntrain = "data/train"\nmore = "s3://{BUCKET}/iris/"\n')
    owners: dict[str, set[str | None]] = {}

    def note(model: Any, params: Any, **_: Any) -> None:
        owners.setdefault(model.name, set()).add(params["headers"].get("x-amz-expected-bucket-owner"))

    fresh().events.register("before-call.s3", note)
    assert deploy(untrained, "train") == 1  # nothing lies under iris/ yet
    configure(untrained, "")
    text = (untrained / "deploy.toml").read_text()
    (untrained / "deploy.toml").write_text(text.replace(f'more = "s3://{BUCKET}/iris/"\n', ""))
    assert deploy(untrained, "train") == 0
    assert deploy(untrained, "destroy", "--yes") == 0
    assert {"HeadBucket", "ListObjectsV2", "PutObject", "GetObject", "DeleteObjects"} <= set(owners)
    assert {name for name, found in owners.items() if found != {"123456789012"}} == set()


def beginning(place: Path, cloud: clouds.Cloud) -> subprocess.Popen[str]:
    """The kit in a process of its own, once the script of its job has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy", "train", "--project", str(place), "--cloud", cloud.name],
        cwd=ROOT,
        env=cloud.local.shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    while (line := process.stdout.readline()) != "waiting\n":
        assert line, process.communicate()
    return process


def test_ctrl_c_stops_the_job_and_the_last_model_stays(iris, cloud, jobs):
    (iris / "training/train.py").write_text(SLOW)
    with beginning(iris, cloud) as process:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    (job,) = jobs()
    assert process.returncode == 130
    assert told.strip() == (
        f"stopped: training job {job.name} was asked to stop; the last model is as it was"
    )
    until(lambda: jobs()[0].state == "Stopped")
    assert factor(iris) == 2


def test_a_job_whose_kit_was_killed_goes_on_and_the_next_train_joins_it(untrained, cloud, jobs):
    gate = untrained / "gate"
    (untrained / "training/train.py").write_text(WAIT_FOR.format(gate=str(gate)) + TRAIN)
    with beginning(untrained, cloud) as process:
        process.kill()
        process.communicate()
    assert [job.state for job in jobs()] == ["InProgress"]
    with beginning(untrained, cloud) as process:
        gate.touch()
        told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert told.startswith("factor=7\n")
    assert len(jobs()) == 1
    assert (factor(untrained), recorded(untrained)) == (7, jobs()[0].name)


def test_a_training_that_takes_too_long_is_told_by_the_cloud_s_word(iris, deploy, cloud, jobs, capsys):
    (iris / "training/train.py").write_text(SLOW)
    configure(iris, "max_run_s = 1\n")
    assert deploy(iris, "train") == 1
    word = {
        "aws": "stopped: MaxRuntimeExceeded",
        "gcp": "failed: The job took longer than its 1 seconds.",
    }[cloud.name]
    assert f"error: training job {jobs()[0].name} {word}; the last model" in capsys.readouterr().err
    assert factor(iris) == 2


def test_an_error_while_a_job_is_followed_says_that_the_job_goes_on(iris, deploy, cloud, jobs, capsys):
    (iris / "training/train.py").write_text(SLOW)

    begun: list[str] = []

    def fail_from_its_start_on(operation: str) -> None:
        if begun and operation == LOOK[cloud.name]:
            raise CloudError("no more")
        begun.extend([operation] if operation == START[cloud.name] else [])

    cloud.on_call(fail_from_its_start_on)
    assert deploy(iris, "train") == 1
    (job,) = jobs()
    assert job.state == "InProgress"
    assert capsys.readouterr().err == (
        f"error: no more (training job {job.name} goes on, and `train` joins it)\n"
    )


def test_live_asks_before_a_job_is_started(untrained, deploy, cloud, jobs, capsys):
    assert deploy(untrained, "train", "--live") == 1
    assert capsys.readouterr().err == (
        f"error: Start a training job on {MACHINE[cloud.name]}? It is billed until it ends. There is no "
        "terminal to ask on: YES=1 (or --yes) answers yes\n"
    )
    assert (jobs(), cloud.storage.list(cloud.uri("iris/"))) == ([], [])
    assert deploy(untrained, "train", "--live", "--yes") == 0
    assert len(jobs()) == 1


def test_destroy_takes_what_training_left_and_ends_what_runs(untrained, deploy, cloud, jobs, capsys):
    assert deploy(untrained, "train") == 0
    (untrained / "training/train.py").write_text(SLOW)
    with beginning(untrained, cloud) as process:
        process.kill()
        process.communicate()
    running = jobs()[0].name
    capsys.readouterr()
    assert deploy(untrained, "destroy", "--yes") == 0
    told = capsys.readouterr().out
    assert f"delete  training_job    {running}\n" in told
    assert "delete  training_files  iris/training/\n" in told
    assert "nothing of iris is left" in told
    assert cloud.storage.list(cloud.uri("iris/")) == []
    assert [job.state for job in jobs()] == ["Stopped", "Completed"]
    assert factor(untrained) == 7


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_destroy_ends_an_upload_that_was_cut_off(untrained, deploy, local_cloud):
    s3 = local_cloud.client("s3")
    s3.create_multipart_upload(Bucket=BUCKET, Key="iris/training/data/0123456789ab/a.csv")
    assert deploy(untrained, "destroy", "--yes") == 0
    assert not s3.list_multipart_uploads(Bucket=BUCKET, Prefix="iris/").get("Uploads")
