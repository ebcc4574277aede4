"""What is wrong with a project is told before a job is started, and mostly before the network is asked."""

from pathlib import Path

import pytest

from deploy.__main__ import main

TRAIN = """\
import os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json").write_text("{}")
"""


def configure(place: Path, more: str) -> None:
    with (place / "deploy.toml").open("a") as file:
        file.write(more)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


MISTAKES = {
    "no script": (
        lambda place: (place / "training/train.py").unlink(),
        "training/train.py: is not there: write the script that trains the model",
    ),
    "no folder": (
        lambda place: configure(place, '[training.channels]\ntrain = "nowhere"\n'),
        "nowhere: is not there: [training.channels] train names a folder with the data, or an s3:// prefix",
    ),
    "no data": (
        lambda place: (place / "data/train").mkdir(parents=True),
        "data/train: holds no files: [training.channels] train names a folder with the data, or an s3:// "
        "prefix",
    ),
    "no image": (
        lambda place: (place / "deploy.toml").write_text(
            (place / "deploy.toml").read_text().partition("[training]")[0]
        ),
        "deploy.toml: [training]: image is missing, and the SageMaker SDK, which knows AWS's own images, is "
        "not installed: set image, or `pip install 'sagemaker>=3.8'`",
    ),
    "a bad setting": (
        lambda place: configure(place, '[training.metrics]\nloss = "("\n'),
        "deploy.toml: [training.metrics]: loss is '(', which is no regular expression: missing ), "
        "unterminated subpattern at position 0",
    ),
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_before_anything_is_asked_of_the_network(project, capsys, mistake):
    place = project("iris")
    (place / "training/train.py").write_text(TRAIN)
    make, message = MISTAKES[mistake]
    make(place)
    assert main(["train", "--project", str(place)]) == 1
    assert capsys.readouterr().err.replace(f"{place}/", "") == f"error: {message}\n"


def test_images_that_surely_differ_are_told_before_the_job_starts(iris, deploy, capfd):
    (iris / "training/train.py").write_text(TRAIN)
    text = (iris / "deploy.toml").read_text()
    serving, training = "slipway-serving:torch2.13-py311", "pytorch-training:2.6.0-cpu-py311"
    text = text.replace("slipway-serving:1", serving, 1).replace("slipway-serving:1", training, 1)
    (iris / "deploy.toml").write_text(text)
    assert deploy(iris, "train") == 0
    assert capfd.readouterr().err == (
        "warning: the model is trained with torch 2.6 and served with torch 2.13: what one saves, the other "
        "may not load\n"
    )
