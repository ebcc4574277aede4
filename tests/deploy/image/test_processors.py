"""An image for another processor than the machine's is refused beforehand, where the registry tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.image import manifests

Deploy = Callable[..., int]
MACHINES = {
    "aws": ('"ml.m7i.large"', '"ml.c7g.large"'),
    "gcp": ('"n2-standard-2"', '"c4a-standard-1"'),
}
INDEX = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [
        {"digest": "sha256:" + "1" * 64, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "sha256:" + "2" * 64, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}},
    ],
}


def named(place: Path, cloud: Any, image: str) -> None:
    """Name the image in the cloud's section of deploy.toml."""
    settings = place / "deploy.toml"
    settings.write_text(
        settings.read_text().replace(f"[{cloud.name}]\n", f'[{cloud.name}]\nimage = "{image}"\n')
    )


def test_an_image_of_the_wrong_processor_is_refused(
    imageless: Path, deploy: Deploy, registry: Any, cloud: Any, held: Callable[..., set[str]], capsys: Any
) -> None:
    assert deploy(imageless) == 0
    (tag,) = registry.tags()
    assert deploy(imageless, "destroy", "--yes") == 0
    named(imageless, cloud, f"{registry.address}/slipway/serving:{tag}")
    settings = imageless / "deploy.toml"
    settings.write_text(settings.read_text().replace(*MACHINES[cloud.name]))

    capsys.readouterr()
    assert deploy(imageless) == 1
    err = capsys.readouterr().err
    assert (
        f"deploy.toml: [{cloud.name}]: image '{registry.address}/slipway/serving:{tag}' is built for amd64"
        in err
    )
    assert "has arm64: build it with --platform linux/arm64" in err
    assert held(imageless) == set()
    settings.write_text(settings.read_text().replace(*MACHINES[cloud.name][::-1]))
    assert deploy(imageless, "plan") == 0


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_an_index_tells_it_too(
    imageless: Path, deploy: Deploy, registry: Any, cloud: Any, capsys: Any
) -> None:
    registry.ecr.put_image(repositoryName="slipway/serving", imageManifest=json.dumps(INDEX), imageTag="mine")
    named(imageless, cloud, f"{registry.address}/slipway/serving:mine")
    assert deploy(imageless, "plan") == 1
    assert "is built for arm64, and ml.m7i.large has amd64" in capsys.readouterr().err


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_what_the_registry_does_not_tell_stops_nobody(
    imageless: Path, deploy: Deploy, registry: Any, cloud: Any
) -> None:
    told_nothing = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": "sha256:" + "3" * 64, "size": 1, "mediaType": "x"},
        "layers": [],
    }
    registry.ecr.put_image(
        repositoryName="slipway/serving", imageManifest=json.dumps(told_nothing), imageTag="mine"
    )
    named(imageless, cloud, f"{registry.address}/slipway/serving:mine")
    assert deploy(imageless, "plan") == 0


def test_a_manifest_without_anything_tells_nothing() -> None:
    assert manifests.processors({}, lambda _: {"architecture": "arm64"}) == set()
    assert manifests.processors({"config": {"digest": "x"}}, lambda _: {}) == set()
    assert manifests.processors(INDEX, lambda _: {}) == {"arm64"}
