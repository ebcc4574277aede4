"""Vertex AI without any build: a container fetches the runtime, installs what it requires, and serves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.image import fetching

Deploy = Callable[..., int]
PLACE = "projects/slipway-tests/locations/us-central1"


@pytest.fixture
def cloud_name() -> str:
    return "gcp"


@pytest.fixture
def fetched(iris: Path, cloud: Any) -> Iterator[Path]:
    """iris, whose image fetches the runtime."""
    settings = iris / "deploy.toml"
    settings.write_text(settings.read_text().replace("[training]", '[image]\nkind = "fetched"\n\n[training]'))
    cloud.storage.remove(cloud.uri("_runtimes/"))
    yield iris
    cloud.storage.remove(cloud.uri("_runtimes/"))


def runtimes(cloud: Any) -> list[str]:
    return cloud.storage.list(cloud.uri("_runtimes/"))


def test_a_container_fetches_the_runtime_and_serves(
    fetched: Path, deploy: Deploy, cloud: Any, asked: Callable[..., Any], capsys: Any
) -> None:
    assert deploy(fetched) == 0, capsys.readouterr().err
    assert asked(fetched) == 2
    planned = re.search(r"create  runtime +(_runtimes/[0-9a-f]{64}\.zip)\n", capsys.readouterr().out)
    assert planned
    assert runtimes(cloud) == [cloud.uri(planned[1])]
    (model,) = (m for m in cloud.models.list_models(parent=PLACE) if m.display_name.startswith("iris-"))
    spec = model.container_spec
    assert list(spec.args) == [cloud.uri(planned[1])]
    assert list(spec.command) == ["python3", "-c", fetching.PROGRAM.read_text()]

    handler = fetched / "inference/handler.py"
    handler.write_text(handler.read_text() + "\n# edited\n")
    assert deploy(fetched, "plan") == 0
    assert "runtime" not in capsys.readouterr().out
    assert deploy(fetched, "destroy", "--yes") == 0
    assert len(runtimes(cloud)) == 1


def test_another_runtime_than_its_name_says_is_not_started(
    fetched: Path, deploy: Deploy, cloud: Any, capsys: Any
) -> None:
    assert deploy(fetched, "plan") == 0
    planned = re.search(r"_runtimes/[0-9a-f]{64}\.zip", capsys.readouterr().out)
    assert planned
    cloud.storage.put(cloud.uri(planned[0]), b"somebody else's")
    assert deploy(fetched) == 1
    assert "its bytes are others than its name says" in capsys.readouterr().err


def test_what_cannot_be_installed_is_told_by_the_container(
    fetched: Path, deploy: Deploy, capsys: Any
) -> None:
    (fetched / "inference/requirements.txt").write_text("--no-index\nno-such-package-of-anybodys==1.0\n")
    assert deploy(fetched) == 1
    assert "No matching distribution found for no-such-package-of-anybodys==1.0" in capsys.readouterr().err


def test_it_needs_an_image_that_is_named(fetched: Path, deploy: Deploy, capsys: Any) -> None:
    settings = fetched / "deploy.toml"
    settings.write_text(re.sub(r'image = "us-central1[^"]*"\n', "", settings.read_text()))
    assert deploy(fetched, "plan") == 1
    assert "set [gcp] image to one with Python 3.11 or newer and pip" in capsys.readouterr().err


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_sagemaker_has_another_way(iris: Path, deploy: Deploy, capsys: Any) -> None:
    settings = iris / "deploy.toml"
    settings.write_text(settings.read_text() + '[image]\nkind = "fetched"\n')
    assert deploy(iris, "plan") == 1
    assert (
        'kind = "fetched": is for CLOUD=gcp alone: on this cloud take "built", or "ray-serve"'
        in capsys.readouterr().err
    )


def test_vertex_replaces_nothing_in_the_program() -> None:
    # Source: the Vertex AI API's ModelContainerSpec: $(NAME) is a variable's value, $$ a single $.
    assert "$" not in fetching.PROGRAM.read_text()
