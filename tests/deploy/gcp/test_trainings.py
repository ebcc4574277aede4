"""Vertex AI's training jobs over the wire: Google's SDK against the local cloud."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import JobState
from waiting import until

from deploy import config
from deploy.config import Config
from deploy.gcp import states, trainings
from deploy.target import CloudError, Refused, TrainingJob, Wanted
from deploy.training.bundles import Bundle, File

ROOT = "gs://slipway-tests-gcp/iris/training/"
IMAGE = "us-central1-docker.pkg.dev/slipway-tests/slipway/training:1"
PLACE = "projects/slipway-tests/locations/us-central1"
KIT = Path(__file__).parents[3] / "training"
CODE = Bundle("code", digest="0123456789ab" + "c" * 52)
SECTIONS = """
service_account = "training@slipway-tests.iam.gserviceaccount.com"
[training]
machine_type = "n2-standard-8"
instance_type = "ml.c7i.xlarge"
max_run_s = 600
volume_gb = 500
[training.hyperparameters]
epochs = 3
shuffle = true
note = "--x"
"""
WAITING = "import time\nprint('loss=3', flush=True)\ntime.sleep(60)\n"
TRAIN = """\
import os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text("{}")
"""


def settings(place: Path, more: str = "") -> Config:
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text + more)
    return config.load(place)


def test_what_is_wanted_is_this_job(project):
    train = Bundle("train", digest="ba9876543210" + "c" * 52)
    more = Bundle("more", uri="gs://elsewhere/more/")
    wanted = trainings.desired(settings(project("iris"), SECTIONS), IMAGE, [CODE, train, more])
    assert wanted.machine == "n2-standard-8"
    code = "/gcs/slipway-tests-gcp/iris/training/code/0123456789ab"
    container = {
        "image_uri": IMAGE,
        "command": ["python3", f"{code}/launch_vertex.py"],
        "args": [
            f"--channel=train={ROOT}data/ba9876543210/",
            "--channel=more=gs://elsewhere/more/",
            "--",
            "--epochs=3",
            "--shuffle=true",
            "--note=--x",
        ],
    }
    pool = {
        "machine_spec": {"machine_type": "n2-standard-8"},
        "replica_count": 1,
        "container_spec": container,
        "disk_spec": {"boot_disk_size_gb": 500},
    }
    assert wanted.params == {
        "job_spec": {
            "worker_pool_specs": [pool],
            "scheduling": {"timeout": {"seconds": 600}},
            "service_account": "training@slipway-tests.iam.gserviceaccount.com",
        },
        "labels": {"slipway-deployment": "iris", "slipway-training": wanted.digest},
    }


def test_what_may_be_left_out_is_that_of_the_gcp_section_or_vertex_ai_s_least(project):
    mine = settings(project("iris"))
    assert trainings.image(mine) == mine.gcp.image == trainings.serving_image(mine)
    wanted = trainings.desired(mine, IMAGE, [CODE])
    assert wanted.machine == "n2-standard-2"
    spec = wanted.params["job_spec"]
    (pool,) = spec["worker_pool_specs"]
    assert pool["disk_spec"] == {"boot_disk_size_gb": 100}
    assert pool["container_spec"]["args"] == ["--"]
    assert spec["scheduling"] == {"timeout": {"seconds": 86400}}
    assert "service_account" not in spec


def test_another_image_trains_where_the_file_says_so(project):
    mine = settings(project("iris"), f'training_image = "{IMAGE}"\n')
    assert (trainings.image(mine), trainings.serving_image(mine)) == (IMAGE, mine.gcp.image)


def test_a_spot_job_begins_again_with_checkpoints_that_belong_to_what_it_trains(project):
    place = project("iris")
    wanted = trainings.desired(settings(place, "[training]\nspot = true\n"), IMAGE, [CODE])
    assert wanted.machine == "n2-standard-2 (spot)"
    assert wanted.params["job_spec"]["scheduling"] == {
        "timeout": {"seconds": 86400},
        "strategy": "SPOT",
        "restart_job_on_worker_restart": True,
    }
    kept = checkpoints(wanted)
    assert re.fullmatch(rf"{ROOT}checkpoints/[0-9a-f]{{12}}/", kept)
    longer = trainings.desired(settings(place, "max_run_s = 60\n"), IMAGE, [CODE])
    assert checkpoints(longer) == kept
    assert longer.digest != wanted.digest
    script = trainings.desired(config.load(place), IMAGE, [Bundle("code", digest="0" * 64)])
    assert checkpoints(script) != kept
    other = trainings.desired(settings(place, "[training.hyperparameters]\nepochs = 4\n"), IMAGE, [CODE])
    assert checkpoints(other) not in (kept, checkpoints(script))


def checkpoints(wanted: Wanted) -> str:
    (pool,) = wanted.params["job_spec"]["worker_pool_specs"]
    (found,) = [word for word in pool["container_spec"]["args"] if word.startswith("--checkpoints=")]
    return found.removeprefix("--checkpoints=")


def test_every_state_of_the_api_has_a_word():
    words = {states.own(state): states.word(state) for state in JobState}
    assert words == {
        "UNSPECIFIED": "InProgress",
        "QUEUED": "InProgress",
        "PENDING": "InProgress",
        "RUNNING": "InProgress",
        "PAUSED": "InProgress",
        "UPDATING": "InProgress",
        "SUCCEEDED": "Completed",
        "PARTIALLY_SUCCEEDED": "Completed",
        "FAILED": "Failed",
        "EXPIRED": "Failed",
        "CANCELLING": "Stopping",
        "CANCELLED": "Stopped",
    }


@pytest.fixture
def mine(iris: Path, deploy: Callable[..., int]) -> Config:
    """The settings of a project whose jobs run for a minute, unless they are stopped."""
    (iris / "training/train.py").write_text(WAITING)
    return config.load(iris)


def wanted_of(mine: Config, place: Path, digest: str = "0" * 64) -> Wanted:
    paths = (place / "training/train.py", KIT / "launch.py", KIT / "launch_vertex.py")
    files = tuple(File(path.name, path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    return trainings.desired(mine, mine.gcp.image, [Bundle("code", files, digest)])


def started(mine: Config, place: Path) -> tuple[Wanted, str]:
    wanted = wanted_of(mine, place)
    name = trainings.new_name(mine, wanted)
    trainings.stage(mine, wanted, lambda state: None)
    trainings.start(mine, wanted, name)
    return wanted, name


def ended(mine: Config, name: str) -> TrainingJob:
    def look() -> TrainingJob | None:
        job = trainings.look(mine, name)
        return None if job.state in states.MOVING else job

    return until(look, 60)


def test_a_job_is_started_found_again_read_stopped_and_stays_what_it_was(mine, iris, cloud):
    wanted, name = started(mine, iris)
    assert trainings.running(mine, wanted) == name
    assert trainings.running(mine, wanted_of(mine, iris, "1" * 64)) == ""
    job = trainings.look(mine, name)
    assert (job.name, job.model, job.seconds) == (name, "", None)
    until(lambda: trainings.printed(mine, name, job.created), 60)
    assert [event.text for event in trainings.printed(mine, name, job.created)][-1] == "loss=3"
    assert trainings.printed(mine, name, datetime.now(UTC)) == []
    trainings.stop(mine, name)
    assert (ended(mine, name).state, trainings.look(mine, name).phase) == ("Stopped", "CANCELLED")
    assert trainings.running(mine, wanted) == ""
    trainings.stop(mine, name)
    trainings.stop(mine, "iris-never-was")
    assert trainings.newest(mine) is None


def test_a_cancel_that_is_refused_is_an_error_only_while_the_job_runs(mine, iris, cloud):
    _, name = started(mine, iris)
    cloud.refuse("POST customJobs:cancel", 400, "cannot be cancelled")
    with pytest.raises(CloudError, match="cannot be cancelled"):
        trainings.stop(mine, name)
    cloud.forget()
    trainings.stop(mine, name)
    ended(mine, name)
    cloud.refuse("POST customJobs:cancel", 400, "cannot be cancelled")
    trainings.stop(mine, name)


def test_a_job_of_that_name_that_is_somebody_else_s_is_not_joined_nor_ended(
    mine, iris, cloud, deploy, capsys
):
    wanted = wanted_of(mine, iris)
    name = trainings.new_name(mine, wanted)
    labels = {**wanted.params["labels"], "slipway-deployment": "somebody"}
    container = {"image_uri": IMAGE, "command": ["sleep", "60"]}
    spec = {"worker_pool_specs": [{"container_spec": container}]}
    made = cloud.jobs.create_custom_job(
        parent=PLACE, custom_job={"display_name": name, "labels": labels, "job_spec": spec}
    )
    assert trainings.running(mine, wanted) == ""
    with pytest.raises(CloudError, match=f"training job {name} is not there: somebody has deleted it"):
        trainings.look(mine, name)
    assert deploy(iris, "destroy", "--yes") == 0
    assert f"not this deployment's, left alone: training_job {name}\n" in capsys.readouterr().out
    assert cloud.jobs.get_custom_job(name=made.name).state < JobState.JOB_STATE_SUCCEEDED
    cloud.jobs.cancel_custom_job(name=made.name)


def test_the_newest_model_is_that_of_the_last_job_that_succeeded_and_still_has_one(
    mine, iris, cloud, tmp_path
):
    (iris / "training/train.py").write_text(TRAIN)
    names = [started(mine, iris)[1] for _ in range(2)]
    jobs = [ended(mine, name) for name in names]
    assert [job.state for job in jobs] == ["Completed", "Completed"]
    assert [job.model for job in jobs] == [f"{ROOT}{name}/model/" for name in names]
    assert all(job.seconds is not None and job.created < job.ended for job in jobs)
    cloud.forget()
    assert trainings.newest(mine) == jobs[1]
    cloud.storage.remove(cloud.uri(f"iris/training/{names[1]}/model/"))
    assert trainings.newest(mine) == jobs[0]
    with pytest.raises(CloudError, match=f"training job {names[1]} has no model at gs://.*: train again"):
        trainings.fetch(mine, jobs[1], tmp_path / "gone", lambda state: None)


def test_a_job_that_was_deleted_is_told(mine, iris, cloud):
    _, name = started(mine, iris)
    trainings.stop(mine, name)
    ended(mine, name)
    (job,) = cloud.jobs.list_custom_jobs(request={"parent": PLACE, "filter": f'display_name="{name}"'})
    cloud.jobs.delete_custom_job(name=job.name).result(30)
    with pytest.raises(CloudError, match=f"training job {name} is not there"):
        trainings.look(mine, name)


def test_data_that_is_not_there_or_not_ours_is_told_before_anything_is_written(mine, cloud):
    def refusal(uri: str) -> str:
        with pytest.raises(CloudError) as refused:
            trainings.check(mine, trainings.desired(mine, IMAGE, [CODE, Bundle("train", uri=uri)]))
        return str(refused.value)

    place = "deploy.toml: [training.channels]: train: "
    cloud.storage.put(cloud.uri("iris/there-2/a.csv"), "1")
    cloud.storage.put(cloud.uri("iris/there/"), "")
    for empty in (cloud.uri("iris/there"), cloud.uri("iris/there/"), cloud.uri("iris/nothing/here/")):
        assert refusal(empty) == f"{place}{empty} holds no objects, expected the data under that prefix"
    assert refusal("gs://slipway-nowhere/x").startswith(
        f"{place}gs://slipway-nowhere/x: bucket 'slipway-nowhere' is not there"
    )
    for uri in (cloud.uri("iris/there-2"), cloud.uri("iris/there-2/a.csv"), f"gs://{cloud.bucket}"):
        trainings.check(mine, trainings.desired(mine, IMAGE, [CODE, Bundle("train", uri=uri)]))
    cloud.storage.remove(cloud.uri("iris/"))


def test_a_job_that_is_refused_was_not_made(mine, iris, cloud):
    cloud.refuse("POST customJobs", 403, "no such service account")
    with pytest.raises(Refused, match="no such service account"):
        started(mine, iris)
    cloud.forget()
    assert trainings.running(mine, wanted_of(mine, iris)) == ""


def test_a_log_that_is_read_too_often_is_read_a_little_later(mine, iris, cloud):
    _, name = started(mine, iris)
    job = trainings.look(mine, name)
    until(lambda: trainings.printed(mine, name, job.created), 60)
    calls: list[str] = []

    def hear(operation: str) -> None:
        calls.append(operation)
        if operation == "POST entries:list":
            cloud.forget()  # from now on there is room

    cloud.refuse("POST entries:list", 429, "quota exceeded")
    cloud.on_call(hear)
    assert [event.text for event in trainings.printed(mine, name, job.created)] == ["loss=3"]
    assert calls == ["GET customJobs", "POST entries:list"]
    trainings.stop(mine, name)


def test_what_vertex_ai_says_itself_is_none_of_the_container_s_lines(mine, iris, google: Any, monkeypatch):
    from deploy.gcp import entries

    told = {"timestamp": "2026-11-23T00:00:00Z", "textPayload": "Job is starting", "insertId": "1"}
    page = {
        "entries": [{**told, "resource": {"labels": {"job_id": "7", "task_name": task}}} for task in TASKS]
    }
    monkeypatch.setattr(entries, "_page", lambda session, asked: page)
    assert [event.stream for event in entries.of_job(mine, "7", datetime.now(UTC))] == ["workerpool0-0"]


TASKS = ("service", "workerpool0-0")
