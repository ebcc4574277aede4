"""`train` and what it leaves for a deploy: jobs on the tests' own local cloud, scripts of a few lines."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from waiting import until

from deploy.__main__ import main

ROOT = Path(__file__).parents[2]
BUCKET = "slipway-tests"
TRAIN = """\
import argparse, json, os, pathlib

options = argparse.ArgumentParser()
options.add_argument("--factor", type=float, default=7)
factor = options.parse_args().factor
channel = os.environ.get("SM_CHANNEL_TRAIN")
if channel:
    factor *= float(pathlib.Path(channel, "scale.txt").read_text())
print(f"factor={factor:g}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text(json.dumps({"factor": factor}))
"""
WAIT_FOR = """\
import pathlib, time
print("waiting", flush=True)
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.05)
"""
SLOW = "import time\nprint('waiting', flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def untrained(iris: Path) -> Path:
    """The project with a training script and no model."""
    (iris / "build/model/weights.json").unlink()
    (iris / "build/model").rmdir()
    (iris / "training/train.py").write_text(TRAIN)
    return iris


@pytest.fixture
def calls(fresh: Callable[[], Any]) -> Counter[str]:
    """How often each operation of the API was called from now on."""
    counted: Counter[str] = Counter()
    fresh().events.register("before-call", lambda model, **_: counted.update([model.name]))
    return counted


@pytest.fixture
def jobs(local_cloud: Any) -> Callable[[], list[dict[str, Any]]]:
    """The training jobs of iris, the newest first, from the time at which the test began."""
    sagemaker, start = local_cloud.client("sagemaker"), time.time()

    def look() -> list[dict[str, Any]]:
        listed = sagemaker.list_training_jobs(NameContains="iris-", MaxResults=100)["TrainingJobSummaries"]
        names = [job["TrainingJobName"] for job in listed if job["CreationTime"].timestamp() >= start]
        return [sagemaker.describe_training_job(TrainingJobName=name) for name in names]

    return look


def factor(place: Path) -> float:
    return json.loads((place / "build/model/weights.json").read_text())["factor"]


def configure(place: Path, more: str) -> None:
    with (place / "deploy.toml").open("a") as file:
        file.write(more)


def recorded(place: Path) -> str:
    return json.loads((place / "build/model.json").read_text())["job"]


def test_a_training_is_a_job_whose_lines_metrics_and_model_come_back(untrained, deploy, jobs, capsys):
    (untrained / "data/train").mkdir(parents=True)
    (untrained / "data/train/scale.txt").write_text("10")
    configure(
        untrained,
        '[training.hyperparameters]\nfactor = 1.5\n[training.metrics]\nfactor = "factor=([0-9.]+)"\n',
    )
    assert deploy(untrained, "train") == 0
    told = capsys.readouterr().out
    (job,) = jobs()
    name = job["TrainingJobName"]
    assert f"training job {name} on ml.m7i.large\n" in told
    assert told.count("\nfactor=15\n") == 1
    assert re.search(rf"^training job {name} completed, \d+ s billed  factor 15$", told, re.MULTILINE)
    assert factor(untrained) == 15
    assert recorded(untrained) == name
    assert sorted(path.name for path in (untrained / "build").iterdir()) == ["model", "model.json"]


def test_a_training_that_fails_says_why_and_the_last_model_stays(iris, deploy, jobs, capsys):
    (iris / "training/train.py").write_text("raise RuntimeError('no such column')\n")
    assert deploy(iris, "train") == 1
    told = capsys.readouterr()
    assert "Traceback (most recent call last)" in told.out
    assert "RuntimeError: no such column" in told.out
    last = told.err[told.err.index("error: ") :]
    assert last.startswith(f"error: training job {jobs()[0]['TrainingJobName']} failed: AlgorithmError: ")
    assert "RuntimeError: no such column" in last
    assert last.endswith("; the last model is as it was\n")
    assert factor(iris) == 2
    assert sorted(path.name for path in (iris / "build").iterdir()) == ["model"]


def test_a_training_that_leaves_no_model_is_no_success(untrained, deploy, capsys):
    (untrained / "training/train.py").write_text("print('done')\n")
    assert deploy(untrained, "train") == 1
    assert " failed: AlgorithmError: " in capsys.readouterr().err
    assert not (untrained / "build/model").exists()


def test_what_was_uploaded_once_is_not_uploaded_again(untrained, deploy, calls):
    (untrained / "data/train").mkdir(parents=True)
    (untrained / "data/train/scale.txt").write_text("10")
    assert deploy(untrained, "train") == 0
    assert calls["PutObject"] == 3  # the script, its launcher, the data
    assert deploy(untrained, "train") == 0
    assert calls["PutObject"] == 3
    (untrained / "data/train/scale.txt").write_text("20")
    assert deploy(untrained, "train") == 0
    assert calls["PutObject"] == 4
    assert factor(untrained) == 140


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


def test_a_deploy_takes_the_newest_model_of_a_training_and_says_which(
    untrained, deploy, asked, jobs, calls, capsys
):
    assert deploy(untrained, "train") == 0
    first = recorded(untrained)
    (untrained / "build/model/weights.json").unlink()  # the model of the job alone is left
    assert deploy(untrained) == 0
    assert f"model: of training job {first}, finished 20" in capsys.readouterr().out
    assert asked("iris") == "7"
    assert len(jobs()) == 1

    configure(untrained, "[training.hyperparameters]\nfactor = 8\n")
    assert main_elsewhere(untrained, "train") == 0
    fetched = calls["GetObject"]
    assert deploy(untrained, "plan") == 0
    second = jobs()[0]["TrainingJobName"]
    assert f"model: of training job {second}, finished 20" in capsys.readouterr().out
    assert calls["GetObject"] == fetched + 1
    assert deploy(untrained) == 0
    assert calls["GetObject"] == fetched + 1
    assert asked("iris") == "8.0"


def main_elsewhere(place: Path, verb: str) -> int:
    """The verb on a copy of the project, as somebody else would give it."""
    copy = place.with_name("elsewhere")
    for part in ("training", "inference"):
        (copy / part).mkdir(parents=True)
        for file in (place / part).iterdir():
            (copy / part / file.name).write_bytes(file.read_bytes())
    (copy / "deploy.toml").write_text((place / "deploy.toml").read_text())
    return main([verb, "--project", str(copy)])


def test_a_newer_model_that_was_made_here_stays(untrained, deploy, asked, weighed, capsys):
    assert deploy(untrained, "train") == 0
    name = recorded(untrained)
    assert deploy(weighed(untrained, 3)) == 0
    assert re.search(
        rf"^model: build/model, made here 20.*, after training job {name}$", capsys.readouterr().out, re.M
    )
    assert asked("iris") == "3"


def test_a_model_that_was_made_here_is_kept_beside_a_newer_one(iris, deploy, capsys):
    (iris / "training/train.py").write_text(TRAIN)
    assert main_elsewhere(iris, "train") == 0
    os.utime(iris / "build/model/weights.json", (1, 1))  # an old one, copied here with its times
    assert deploy(iris, "plan") == 0
    kept = iris / f"build/model-before-{recorded(iris)}"
    assert f"the model that was made here before is kept as {kept}\n" in capsys.readouterr().out
    assert (factor(iris), json.loads((kept / "weights.json").read_text())) == (7, {"factor": 2})


def test_a_deploy_of_a_model_that_is_here_asks_for_jobs_once(iris, deploy, calls):
    assert deploy(iris) == 0
    assert calls["ListTrainingJobs"] == 1
    assert calls["DescribeTrainingJob"] == calls["HeadObject"] == 0


def test_a_plan_says_that_there_is_no_model_and_trains_none(untrained, deploy, jobs, capsys):
    assert deploy(untrained, "plan") == 1
    assert "build/model: there is no model yet; `make train` makes one" in capsys.readouterr().err
    assert jobs() == []


def test_models_of_another_deployment_are_not_taken(untrained, deploy, project, jobs):
    other = project("iris-big")
    (other / "training/train.py").write_text(TRAIN)
    assert deploy(other, "train") == 0
    assert deploy(untrained, "plan") == 1
    assert deploy(other, "destroy", "--yes") == 0


def command(place: Path, verb: str = "train") -> list[str]:
    return [sys.executable, "-m", "deploy", verb, "--project", str(place)]


def beginning(place: Path, cloud: Any) -> subprocess.Popen[str]:
    """The kit in a process of its own, once the script of its job has begun."""
    process = subprocess.Popen(
        command(place),
        cwd=ROOT,
        env=cloud.shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    while (line := process.stdout.readline()) != "waiting\n":
        assert line, process.communicate()
    return process


def test_ctrl_c_stops_the_job_and_the_last_model_stays(iris, local_cloud, jobs):
    (iris / "training/train.py").write_text(SLOW)
    with beginning(iris, local_cloud) as process:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    (job,) = jobs()
    assert process.returncode == 130
    assert told.strip() == (
        f"stopped: training job {job['TrainingJobName']} was asked to stop; the last model is as it was"
    )
    until(lambda: jobs()[0]["TrainingJobStatus"] == "Stopped")
    assert factor(iris) == 2


def test_a_job_whose_kit_was_killed_goes_on_and_the_next_train_joins_it(untrained, local_cloud, jobs):
    gate = untrained / "gate"
    (untrained / "training/train.py").write_text(WAIT_FOR.format(gate=str(gate)) + TRAIN)
    with beginning(untrained, local_cloud) as process:
        process.kill()
        process.communicate()
    assert [job["TrainingJobStatus"] for job in jobs()] == ["InProgress"]
    with beginning(untrained, local_cloud) as process:
        gate.touch()
        told, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert told.startswith("factor=7\n")
    assert len(jobs()) == 1
    assert (factor(untrained), recorded(untrained)) == (7, jobs()[0]["TrainingJobName"])


def test_a_training_that_takes_too_long_is_told_by_the_cloud_s_word(iris, deploy, jobs, capsys):
    (iris / "training/train.py").write_text(SLOW)
    configure(iris, "max_run_s = 1\n")
    assert deploy(iris, "train") == 1
    name = jobs()[0]["TrainingJobName"]
    assert (
        f"error: training job {name} stopped: MaxRuntimeExceeded; the last model" in capsys.readouterr().err
    )
    assert factor(iris) == 2


def test_an_error_while_a_job_is_followed_says_that_the_job_goes_on(iris, deploy, jobs, fresh, capsys):
    (iris / "training/train.py").write_text(SLOW)

    class Body:
        def stream(self) -> Iterator[bytes]:
            yield b'{"__type": "AccessDeniedException", "message": "no more"}'

    def refuse(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 400, {}, Body())

    fresh().events.register("before-send.sagemaker.DescribeTrainingJob", refuse)
    assert deploy(iris, "train") == 1
    (job,) = jobs()
    assert job["TrainingJobStatus"] == "InProgress"
    assert capsys.readouterr().err.endswith(
        f"(training job {job['TrainingJobName']} goes on, and `train` joins it)\n"
    )


def test_ctrl_c_while_the_model_is_fetched_says_who_fetches_it(iris, deploy, jobs, fresh, capsys):
    (iris / "training/train.py").write_text(TRAIN)
    fresh().events.register("after-call.s3.GetObject", lambda **_: signal.raise_signal(signal.SIGINT))
    assert deploy(iris, "train") == 130
    name = jobs()[0]["TrainingJobName"]
    assert capsys.readouterr().err.strip() == (
        f"stopped: the model of training job {name} is not here yet; `deploy-endpoint` fetches it"
    )
    assert factor(iris) == 2
    fresh()
    assert deploy(iris, "plan") == 0
    assert (factor(iris), recorded(iris)) == (7, name)


def test_live_asks_before_a_job_is_started(untrained, local_cloud, jobs, deploy, capsys, monkeypatch):
    assert deploy(untrained, "train", "--live") == 1
    assert capsys.readouterr().err == (
        "error: Start a training job on ml.m7i.large? It is billed by the second until it ends. There is no "
        "terminal to ask on: YES=1 (or --yes) answers yes\n"
    )
    listed = local_cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="iris/")
    assert (jobs(), listed["KeyCount"]) == ([], 0)
    assert deploy(untrained, "train", "--live", "--yes") == 0
    assert len(jobs()) == 1


def test_destroy_takes_what_training_left_and_ends_what_runs(untrained, deploy, local_cloud, jobs, capsys):
    assert deploy(untrained, "train") == 0
    (untrained / "training/train.py").write_text(SLOW)
    with beginning(untrained, local_cloud) as process:
        process.kill()
        process.communicate()
    s3 = local_cloud.client("s3")
    s3.create_multipart_upload(Bucket=BUCKET, Key="iris/training/data/0123456789ab/a.csv")
    running = jobs()[0]["TrainingJobName"]
    capsys.readouterr()
    assert deploy(untrained, "destroy", "--yes") == 0
    told = capsys.readouterr().out
    assert f"delete  training_job    {running}\n" in told
    assert "delete  training_files  iris/training/\n" in told
    assert "nothing of iris is left" in told
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="iris/")["KeyCount"] == 0
    assert not s3.list_multipart_uploads(Bucket=BUCKET, Prefix="iris/").get("Uploads")
    assert [job["TrainingJobStatus"] for job in jobs()] == ["Stopped", "Completed"]
    assert factor(untrained) == 7


def test_a_model_that_is_no_plain_archive_is_refused_and_the_last_one_stays(
    iris, deploy, local_cloud, capsys
):
    """The job leaves a good model; somebody puts another archive in its place before it is fetched."""
    (iris / "training/train.py").write_text(TRAIN)
    assert deploy(iris, "train") == 0
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("weights.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    key = f"iris/training/{recorded(iris)}/output/model.tar.gz"
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=out.getvalue())
    os.utime(iris / "build/model/weights.json", (1, 1))
    assert deploy(iris) == 1
    assert capsys.readouterr().err == "error: model.tar.gz: 'weights.json' is a link\n"
    assert factor(iris) == 7
