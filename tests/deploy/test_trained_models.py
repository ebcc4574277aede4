"""What `train` leaves for a deploy: the newest model comes back, on either cloud, whole or not at all."""

import io
import json
import os
import re
import shutil
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clouds.trainings import DOWNLOAD, LIST, TRAIN, configure, factor, recorded

from deploy.__main__ import main


def test_a_deploy_takes_the_newest_model_of_a_training_and_says_which(
    untrained, deploy, elsewhere, asked, jobs, capsys
):
    assert deploy(untrained, "train") == 0
    first = recorded(untrained)
    (untrained / "build/model/weights.json").unlink()  # the model of the job alone is left
    assert deploy(untrained) == 0
    assert f"model: of training job {first}, finished 20" in capsys.readouterr().out
    assert asked("iris") == 7
    assert len(jobs()) == 1

    configure(untrained, "[training.hyperparameters]\nfactor = 8\n")
    assert elsewhere("train") == 0
    assert deploy(untrained, "plan") == 0
    second = jobs()[0].name
    assert f"model: of training job {second}, finished 20" in capsys.readouterr().out
    fetched = (untrained / "build/model").stat()
    assert deploy(untrained) == 0
    assert (untrained / "build/model").stat() == fetched
    assert asked("iris") == 8


@pytest.fixture
def elsewhere(tmp_path: Path, deploy: Callable[..., int]) -> Callable[[str], int]:
    """Gives a verb on a copy of iris, as somebody else would."""

    def run(verb: str) -> int:
        place, copy = tmp_path / "iris", tmp_path / "elsewhere"
        for part in ("training", "inference"):
            shutil.copytree(place / part, copy / part, dirs_exist_ok=True)
        shutil.copy(place / "deploy.toml", copy)
        return deploy(copy, verb)

    return run


def test_a_deploy_without_a_model_has_a_job_train_one(untrained, deploy, asked, jobs, capsys):
    assert deploy(untrained) == 0
    assert "iris answered 2 of 2 samples" in capsys.readouterr().out
    assert [job.state for job in jobs()] == ["Completed"]
    assert asked("iris") == 7
    assert recorded(untrained) == jobs()[0].name


def test_a_job_of_the_other_cloud_does_not_count(
    untrained, elsewhere, deploy, cloud, both_clouds, monkeypatch
):
    assert elsewhere("train") == 0
    other = both_clouds({"aws": "gcp", "gcp": "aws"}[cloud.name])
    plan = ["plan", "--project", str(untrained), "--cloud", other.name]
    assert main(plan) == 1
    assert not (untrained / "build/model").exists()
    assert deploy(untrained, "plan") == 0
    assert main(plan) == 0  # what it fetched lies here, and a model that is here serves everywhere
    other.forget()


def test_a_newer_model_that_was_made_here_stays(untrained, deploy, asked, weighed, capsys):
    assert deploy(untrained, "train") == 0
    name = recorded(untrained)
    assert deploy(weighed(untrained, 3)) == 0
    assert re.search(
        rf"^model: build/model, made here 20.*, after training job {name}$", capsys.readouterr().out, re.M
    )
    assert asked("iris") == 3


def test_a_model_that_was_made_here_is_kept_beside_a_newer_one(iris, deploy, elsewhere, capsys):
    (iris / "training/train.py").write_text(TRAIN)
    assert elsewhere("train") == 0
    os.utime(iris / "build/model/weights.json", (1, 1))  # an old one, copied here with its times
    assert deploy(iris, "plan") == 0
    kept = iris / f"build/model-before-{recorded(iris)}"
    assert f"the model that was made here before is kept as {kept}\n" in capsys.readouterr().out
    assert (factor(iris), json.loads((kept / "weights.json").read_text())) == (7, {"factor": 2})


def test_a_deploy_of_a_model_that_is_here_asks_for_jobs_once(iris, deploy, cloud, calls):
    assert deploy(iris) == 0
    assert calls[LIST[cloud.name]] == 1
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


def test_ctrl_c_while_the_model_is_fetched_says_who_fetches_it(iris, deploy, cloud, jobs, capsys):
    (iris / "training/train.py").write_text(TRAIN)

    def interrupt(operation: str) -> None:
        if operation == DOWNLOAD[cloud.name] and list((iris / "build").glob(".fetched-*")):
            signal.raise_signal(signal.SIGINT)

    cloud.on_call(interrupt)
    assert deploy(iris, "train") == 130
    name = jobs()[0].name
    assert capsys.readouterr().err.strip() == (
        f"stopped: the model of training job {name} is not here yet; `deploy-endpoint` fetches it"
    )
    assert factor(iris) == 2
    cloud.forget()
    assert deploy(iris, "plan") == 0
    assert (factor(iris), recorded(iris)) == (7, name)


def linked() -> bytes:
    """An archive with a link in it, which no job of the kit's leaves."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("weights.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


HOSTILE = {
    "aws": ("output/model.tar.gz", linked(), "'weights.json' is a link"),
    "gcp": ("model/../../../evil", b"", "'../../../evil' leads out of its folder by '..'"),
}


def test_a_model_that_would_leave_its_folder_is_refused_and_the_last_one_stays(iris, deploy, cloud, capsys):
    """The job leaves a good model; somebody puts something else there before it is fetched."""
    (iris / "training/train.py").write_text(TRAIN)
    assert deploy(iris, "train") == 0
    name, body, refusal = HOSTILE[cloud.name]
    cloud.storage.put(cloud.uri(f"iris/training/{recorded(iris)}/{name}"), body)
    os.utime(iris / "build/model/weights.json", (1, 1))
    assert deploy(iris) == 1
    assert capsys.readouterr().err == f"error: model.tar.gz: {refusal}\n"
    assert factor(iris) == 7
