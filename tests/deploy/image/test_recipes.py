"""An image's name and options: by what goes in, for the machine that serves, with checked arguments."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from clouds import DEPLOY_TOML
from hypothesis import given
from hypothesis import strategies as st

from deploy import config as configuration
from deploy import image
from deploy.config import Config
from deploy.image import machines, recipes
from deploy.image.context import ContextError
from deploy.sections.image import Image

EVIL = [
    "\n",
    "x\ny",
    "x;id",
    "$(id)",
    "`id`",
    "$X",
    "{{ 7*7 }}",
    "a'b",
    'a"b',
    "a\\b",
    "${X}",
    "a&b",
    "a|b",
    "\0",
    "a\rb",
    "%s",
]


def configured(cloud: str = "aws", machine: str = "", settings: str = "") -> Config:
    told = tomllib.loads(DEPLOY_TOML.format(name="iris") + settings)
    told[cloud]["image"] = ""
    if machine:
        told[cloud]["instance_type" if cloud == "aws" else "machine_type"] = machine
    return Config.model_validate(told)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference/requirements.txt").write_text("torch\nnumpy\n")
    return tmp_path


def options(project: Path, **given: Any) -> list[str]:
    cloud = given.get("cloud", "aws")
    return recipes.recipe(configured(**given), project, cloud).options


def test_the_machine_says_for_which_processor_and_device(own: Path) -> None:
    assert "--platform=linux/amd64" in options(own)
    assert "--build-arg=DEVICE=cpu" in options(own)
    assert "--platform=linux/arm64" in options(own, machine="ml.c7g.xlarge")
    assert "--build-arg=DEVICE=cu126" in options(own, machine="ml.g5.xlarge")
    assert "--build-arg=DEVICE=cu126" in options(own, cloud="gcp", machine="g2-standard-4")


def test_torch_stays_out_where_nothing_names_it(own: Path) -> None:
    assert not any("TORCH=" in option for option in options(own))
    (own / "inference/requirements.txt").write_text("numpy\n")
    assert "--build-arg=TORCH=" in options(own)
    settings = '[image.arguments]\nTORCH = "torch==2.13.0"\n'
    assert "--build-arg=TORCH=torch==2.13.0" in options(own, settings=settings)


def test_an_image_carries_the_tag_by_which_it_is_known(own: Path) -> None:
    made = recipes.recipe(configured(), own, "aws")
    assert f"--build-arg=INPUTS={made.tag}" in made.options


def test_another_machine_of_that_kind_needs_no_other_image(own: Path) -> None:
    names = {
        recipes.recipe(configured(machine=machine), own, "aws").name
        for machine in ("ml.m7i.large", "ml.c7i.xlarge")
    }
    assert len(names) == 1
    assert recipes.recipe(configured(machine="ml.c7g.large"), own, "aws").name not in names


def test_an_argument_is_the_dockerfile_s_or_refused(own: Path) -> None:
    with pytest.raises(
        ContextError, match=r"\[image\]: TROCH: is no ARG of infra/image/Dockerfile: name one of"
    ):
        options(own, settings='[image.arguments]\nTROCH = "x"\n')


def test_a_configuration_without_an_image_gets_the_kit_s(own: Path) -> None:
    aws = image.resolved(configured(), own, "aws").aws.image
    tag = aws.rpartition(":")[2]
    assert aws == f"123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway/serving:{tag}"
    gcp = image.resolved(configured("gcp"), own, "gcp").gcp.image
    assert gcp == f"us-central1-docker.pkg.dev/slipway-tests/slipway/serving:{tag}"


def test_an_image_that_is_named_is_left_alone(own: Path) -> None:
    config = Config.model_validate(tomllib.loads(DEPLOY_TOML.format(name="iris")))
    for cloud in ("aws", "gcp"):
        assert image.resolved(config, own, cloud) is config
        assert image.desired(config, own, cloud) == []


def test_an_older_image_of_the_kit_s_may_be_named(own: Path) -> None:
    resolved = image.resolved(configured(), own, "aws")
    assert [one.name for one in image.desired(resolved, own, "aws")] == [resolved.aws.image.partition("/")[2]]
    (own / "inference/requirements.txt").write_text("numpy\n")
    assert image.is_own(resolved, "aws")
    assert image.desired(resolved, own, "aws") == []


@pytest.mark.parametrize("value", EVIL)
@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("image", "base"),
        ("image", "device"),
        ("image", "builder"),
        ("aws", "region"),
        ("aws", "bucket"),
        ("aws", "role"),
        ("gcp", "project"),
        ("gcp", "region"),
        ("gcp", "bucket"),
    ],
)
def test_no_string_that_a_shell_or_template_reads_gets_by(section: str, key: str, value: str) -> None:
    told = tomllib.loads(DEPLOY_TOML.format(name="iris"))
    good = {"device": "cpu", "builder": "docker", "base": "python"}.get(key) or told[section][key]
    told.setdefault(section, {})[key] = good + value
    with pytest.raises(ValueError, match=key):
        Config.model_validate(told)


@pytest.mark.parametrize("value", EVIL)
def test_no_build_argument_does_either(value: str) -> None:
    with pytest.raises(ValueError, match="TORCH is"):
        Image.model_validate({"arguments": {"TORCH": value}})
    with pytest.raises(ValueError, match="is no build argument"):
        Image.model_validate({"arguments": {f"TORCH{value}": "x"}})


@given(st.text(max_size=40))
def test_whatever_a_build_argument_is_it_stays_one_word_of_one_line(text: str) -> None:
    try:
        section = Image.model_validate({"arguments": {"TORCH": text}})
    except ValueError:
        return
    (value,) = section.arguments.values()
    assert value.isprintable()
    assert not set(value) & set("$`\\;|&(){}[]'\"#%*?")


def test_a_secret_is_no_build_argument(tmp_path: Path) -> None:
    told = (
        DEPLOY_TOML.format(name="iris")
        + '[image.arguments]\nPIP_INDEX_URL = "https://me:hunter22@x.example/"\n'
    )
    (tmp_path / "deploy.toml").write_text(told)
    with pytest.raises(configuration.ConfigError, match="PIP_INDEX_URL looks like a secret") as error:
        configuration.load(tmp_path)
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize(
    ("machine", "processor", "gpu"),
    [
        ("ml.m7i.large", "amd64", False),
        ("ml.m6gd.large", "arm64", False),
        ("ml.c7gn.xlarge", "arm64", False),
        ("ml.t4g.medium", "arm64", False),
        ("ml.g4dn.xlarge", "amd64", True),
        ("ml.g5g.xlarge", "arm64", True),
        ("ml.p6e-gb200.36xlarge", "arm64", True),
        ("ml.trn1.2xlarge", "amd64", False),
        ("ml.inf2.xlarge", "amd64", False),
        ("n2-standard-2", "amd64", False),
        ("c4a-standard-4", "arm64", False),
        ("t2a-standard-1", "arm64", False),
        ("a2-highgpu-1g", "amd64", True),
        ("a4x-highgpu-4g", "arm64", True),
    ],
)
def test_a_machine_s_name_tells_its_processor(machine: str, processor: str, gpu: bool) -> None:
    assert (machines.processor(machine), machines.has_gpu(machine)) == (processor, gpu)
