"""podman and buildah themselves, where they are installed: an image without a base is built and pushed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from registries import PASSWORD, USER, registry

from deploy.image import builders
from deploy.image.builders import BuildError, Login
from deploy.image.context import Context, File
from deploy.image.recipes import Recipe

DOCKERFILE = (
    b"FROM scratch\nARG DEVICE\nARG INPUTS\nLABEL device=${DEVICE} inputs=${INPUTS}\nCOPY a.txt /a.txt\n"
)
RECIPE = Recipe(
    Context((File("a.txt", b"x"), File("infra/image/Dockerfile", DOCKERFILE))),
    "linux/arm64",
    (("DEVICE", "cpu"),),
)


@pytest.fixture(params=["podman", "buildah"])
def tool(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tool that works here, with a storage of the test's own."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/images"\nrunroot = "{tmp_path}/run"\n'
    (tmp_path / "storage.conf").write_text(storage)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    return request.param


def test_what_is_pushed_is_what_sagemaker_takes(tool: str) -> None:
    with registry() as pushed:
        assert builders.choose(tool, pushed.address) == tool
        builders.build(tool, RECIPE, Login(pushed.address, USER, PASSWORD), lambda _: None)
    manifest = pushed.manifests[RECIPE.name]
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    described = json.loads(pushed.blobs[manifest["config"]["digest"]])
    assert described["architecture"] == "arm64"
    assert described["config"]["Labels"].items() >= {"device": "cpu", "inputs": RECIPE.tag}.items()
    assert {layer["digest"] for layer in manifest["layers"]} <= set(pushed.blobs)


def test_who_may_not_push_is_told_so(tool: str) -> None:
    with registry() as pushed, pytest.raises(BuildError, match=f"`{tool} login` failed") as error:
        builders.build(tool, RECIPE, Login(pushed.address, USER, "another"), lambda _: None)
    assert "another" not in str(error.value)
    assert not pushed.manifests
