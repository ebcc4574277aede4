"""SageMaker without any build: what goes into the archive for AWS's Ray Serve, and the runtime out of it.

Ray Serve itself is not installed here: its application is a few lines around the process that is tested.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.image import rayserve
from deploy.unpack import unpack

Deploy = Callable[..., int]


@pytest.fixture
def cloud_name() -> str:
    return "aws"


@pytest.fixture
def rayed(iris: Path) -> Path:
    """iris on AWS's image of Ray Serve."""
    settings = iris / "deploy.toml"
    head, mark, rest = settings.read_text().partition("[gcp]\n")
    lines = [line for line in head.splitlines(keepends=True) if not line.startswith("image = ")]
    settings.write_text("".join(lines) + mark + rest + '[image]\nkind = "ray-serve"\n')
    return iris


@pytest.fixture
def unpacked(rayed: Path, deploy: Deploy, tmp_path: Path) -> Path:
    """The archive as SageMaker unpacks it."""
    assert deploy(rayed, "plan") == 0
    model = tmp_path / "ml/model"
    model.mkdir(parents=True)
    unpack(rayed / "build/model.tar.gz", model)
    return model


def test_the_archive_is_what_aws_s_image_takes(unpacked: Path, rayed: Path) -> None:
    config = yaml.safe_load((unpacked / "config.yaml").read_text())
    (application,) = config["applications"]
    (deployment,) = application["deployments"]
    assert (application["route_prefix"], application["import_path"]) == ("/", "slipway_ray:app")
    assert deployment["ray_actor_options"] == {"num_gpus": 0}
    module = ast.parse((unpacked / "slipway_ray.py").read_text())
    assert deployment["name"] in {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    assert "app" in {node.targets[0].id for node in module.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert (unpacked / "inference/serving/__main__.py").is_file()
    assert (unpacked / "code/handler.py").read_text() == (rayed / "inference/handler.py").read_text()


def test_a_gpu_gets_the_image_s_twin_and_a_host_with_its_drivers(
    rayed: Path, deploy: Deploy, cloud: Any
) -> None:
    settings = rayed / "deploy.toml"
    settings.write_text(settings.read_text().replace("ml.m7i.large", "ml.g5.xlarge"))
    assert deploy(rayed) == 0
    sagemaker = cloud.local.client("sagemaker")
    model = sagemaker.list_models(NameContains="iris-")["Models"][0]["ModelName"]
    image = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["Image"]
    assert image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cuda-v1"
    config = sagemaker.describe_endpoint(EndpointName="iris")["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    assert variant["InferenceAmiVersion"] == rayserve.GPU_HOST


def test_a_model_may_not_take_a_file_s_place(rayed: Path, deploy: Deploy, capsys: Any) -> None:
    (rayed / "build/model/config.yaml").write_text("mine")
    assert deploy(rayed, "plan") == 1
    assert (
        "model/config.yaml: takes the place of config.yaml in the archive: rename it"
        in capsys.readouterr().err
    )


def test_a_region_without_the_image_is_told(rayed: Path, deploy: Deploy, capsys: Any) -> None:
    settings = rayed / "deploy.toml"
    settings.write_text(settings.read_text().replace('region = "us-east-1"', 'region = "cn-north-1"'))
    assert deploy(rayed, "plan") == 1
    assert 'kind = "ray-serve": has no known image in cn-north-1: set [aws] image' in capsys.readouterr().err


@pytest.fixture
def process(unpacked: Path) -> Iterator[Any]:
    """The runtime out of the archive, as the application starts it."""
    found = importlib.util.spec_from_file_location("slipway_process", unpacked / "slipway_process.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    found.loader.exec_module(module)
    sys.dont_write_bytecode = before
    made = module.Process(unpacked)
    made.install()
    made.start()
    yield made
    made.stop()


def test_the_runtime_answers_out_of_the_archive(process: Any) -> None:
    async def ask() -> tuple[int, bytes, str, bytes]:
        headers = {
            "content-type": "application/jsonlines",
            "x-amzn-sagemaker-custom-attributes": "a=1",
            "host": "x",
        }
        good = await process.ask(b"1\n2.5\n", headers)
        bad = await process.ask(b"not json", {"content-type": "application/json"})
        await process._client.aclose()
        return good.status_code, good.content, good.headers["content-type"], bad.content

    status, body, kind, refused = asyncio.run(ask())
    assert (status, body, kind) == (200, b"2\n5.0\n", "application/jsonlines")
    assert b"error" in refused
    process.check()
    process.stop()
    with pytest.raises(RuntimeError, match="the runtime is not running"):
        process.check()
