"""An image that says its Python and torch is held against those of the project."""

from __future__ import annotations

import sys

import pytest

from deploy.checking.lints import images
from deploy.checking.lints.images import Told

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.9"
DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-{}:{}-cpu-py{}-ubuntu22.04-sagemaker"


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (DLC.format("inference", "2.6.0", "312"), Told("3.12", "2.6")),
        (DLC.format("training", "2.8.0", "39"), Told("3.9", "2.8")),
        ("docker.io/library/python:3.11-slim", Told("3.11", "")),
        ("python:3.13", Told("3.13", "")),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/my-numpy312:1", Told("", "")),
        ("us-central1-docker.pkg.dev/p/slipway/serving:3f9a0c12b7de", Told("", "")),
        ("", Told("", "")),
    ],
)
def test_an_image_s_name_says_its_versions_or_nothing(image, told):
    assert images.told(image) == told


def named(subject, serving: str = "", training: str = ""):
    if serving:
        object.__setattr__(subject.config.aws, "image", serving)
    if training:
        object.__setattr__(subject.config.training, "image", training)
    return subject


def test_another_python_than_this_is_a_warning(subject):
    image = DLC.format("inference", "2.6.0", OTHER.replace(".", ""))
    (found,) = images.found(named(subject(), image))
    assert (found.severity, found.place) == ("warning", "deploy.toml: [aws] image")
    assert found.value == f"has Python {OTHER}, and was checked with {HERE}"


def test_another_torch_than_the_requirements_is_an_error(subject):
    image = DLC.format("inference", "2.6.0", HERE.replace(".", ""))
    (found,) = images.found(named(subject("torch==2.13.0\n"), image))
    assert found.severity == "error"
    assert "has torch 2.6, and inference/requirements.txt asks for 2.13.0" in found.value
    assert list(images.found(named(subject("torch==2.6.1\n"), image))) == []
    assert list(images.found(named(subject(""), image))) == []


def test_a_training_image_with_other_versions_is_a_warning(subject):
    serving = DLC.format("inference", "2.6.0", HERE.replace(".", ""))
    training = DLC.format("training", "2.8.0", OTHER.replace(".", ""))
    places = [(one.severity, one.place) for one in images.found(named(subject(), serving, training))]
    assert places == [("warning", "deploy.toml: [training] image")] * 2


def test_the_kit_s_own_image_has_the_python_of_its_base(subject):
    own = subject(settings=f'[image]\nbase = "python:{OTHER}-slim"\n')
    object.__setattr__(own.config.aws, "image", "")
    (found,) = images.found(own)
    assert found.place == "deploy.toml: [image] base"
    object.__setattr__(own.config.image, "base", "")
    told = images.told(images._BASE.search(images.DOCKERFILE.read_text())[1])
    assert told.python
    assert [one.place for one in images.found(own)] == (
        [] if told.python == HERE else ["infra/image/Dockerfile"]
    )
