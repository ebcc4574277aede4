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
    """What is asked of either cloud fails, and not with the sentence that a test expects."""
    for name in ("AWS_ENDPOINT_URL", "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")


MISTAKES = {
    "no script": (
        lambda place: (place / "training/train.py").unlink(),
        "training/train.py: is not there: write the script that trains the model",
    ),
    "no folder": (
        lambda place: configure(place, '[training.channels]\ntrain = "nowhere"\n'),
        "nowhere: is not there: [training.channels] train names a folder with the data, or "
        "{scheme}://bucket/prefix",
    ),
    "no data": (
        lambda place: (place / "data/train").mkdir(parents=True),
        "data/train: holds no files: [training.channels] train names a folder with the data, or "
        "{scheme}://bucket/prefix",
    ),
    "data of the other cloud": (
        lambda place: configure(place, '[training.channels]\na = "s3://bucket/a"\nb = "gs://bucket/b"\n'),
        "deploy.toml: [training.channels]: {other}: is '{elsewhere}': expected a folder or "
        "{scheme}://bucket/prefix on this cloud",
    ),
    "a secret": (
        lambda place: configure(place, '[training.hyperparameters]\napi_key = "abc"\n'),
        "deploy.toml: [training.hyperparameters]: api_key looks like a secret, and whoever may describe the "
        "job could read it: keep it in the cloud's own store of secrets and let the script fetch it",
    ),
    "a bad setting": (
        lambda place: configure(place, '[training.metrics]\nloss = "("\n'),
        "deploy.toml: [training.metrics]: loss is '(', which is no regular expression: missing ), "
        "unterminated subpattern at position 0",
    ),
}


WORDS = {
    "aws": {"scheme": "s3", "other": "b", "elsewhere": "gs://bucket/b"},
    "gcp": {"scheme": "gs", "other": "a", "elsewhere": "s3://bucket/a"},
}


def refusal(place: Path, cloud: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `train` says on this cloud of what is wrong, without the project's folder."""
    assert main(["train", "--project", str(place), "--cloud", cloud]) == 1
    return capsys.readouterr().err.replace(f"{place}/", "")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_before_anything_is_asked_of_the_network(
    project, capsys, cloud_name, mistake
):
    place = project("iris")
    (place / "training/train.py").write_text(TRAIN)
    make, message = MISTAKES[mistake]
    make(place)
    assert refusal(place, cloud_name, capsys) == f"error: {message.format(**WORDS[cloud_name])}\n"


@pytest.mark.usefixtures("no_network")
def test_an_image_that_nobody_names_is_told(project, capsys):
    place = project("iris")
    (place / "training/train.py").write_text(TRAIN)
    (place / "deploy.toml").write_text((place / "deploy.toml").read_text().partition("[training]")[0])
    assert refusal(place, "aws", capsys) == (
        "error: deploy.toml: [training]: image is missing, and the SageMaker SDK, which knows AWS's own "
        "images, is not installed: set image, or `pip install 'sagemaker>=3.8'`\n"
    )


@pytest.mark.usefixtures("no_network")
def test_a_job_that_would_run_longer_than_vertex_ai_lets_it_is_told(project, capsys):
    place = project("iris")
    (place / "training/train.py").write_text(TRAIN)
    configure(place, "max_run_s = 604801\n")
    assert refusal(place, "gcp", capsys) == (
        "error: deploy.toml: [training]: max_run_s is 604801, expected at most 604800 (7 days) on Vertex AI\n"
    )


IMAGES = {
    # What names the image that trains, and what names another one in its place.
    "aws": ('[training]\nimage = "{registry}/slipway-serving:1"', '[training]\nimage = "{registry}/{other}"'),
    "gcp": ("[gcp]\n", '[gcp]\ntraining_image = "europe-docker.pkg.dev/slipway-tests/images/{other}"\n'),
}


def test_images_that_surely_differ_are_told_before_the_job_starts(iris, deploy, cloud, capfd):
    (iris / "training/train.py").write_text(TRAIN)
    given = {
        "registry": "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "other": "pytorch-training:2.6.0-cpu-py311",
    }
    old, new = (text.format(**given) for text in IMAGES[cloud.name])
    text = (iris / "deploy.toml").read_text().replace(old, new)
    (iris / "deploy.toml").write_text(text.replace("serving:1", "serving:torch2.13-py311"))
    assert deploy(iris, "train") == 0
    assert capfd.readouterr().err == (
        "warning: the model is trained with torch 2.6 and served with torch 2.13: what one saves, the other "
        "may not load\n"
    )
