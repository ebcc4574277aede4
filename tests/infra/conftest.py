"""Real containers, for the tests of the image and of the local cloud that runs it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import images
import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with a shell and a Python, and podman ready to run it. CI never goes without."""
    if gone := images.missing():
        said = f"no {', '.join(gone)}: apt-get install --no-install-recommends {images.DEBIAN}"
        assert not os.environ.get("CI"), said
        pytest.skip(f"containers are not tested here ({said})")
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in images.settings(folder).items():
            patch.setenv(name, value)
        images.make_base(folder)
        yield images.BASE


@pytest.fixture(scope="session")
def build(base: str, tmp_path_factory: pytest.TempPathFactory) -> images.Build:
    """What the serving image is built of."""
    folder: Path = tmp_path_factory.mktemp("image")
    return images.Build(images.write_context(folder), images.download_wheels(folder / "wheels"))


@pytest.fixture(scope="session")
def image_of(build: images.Build) -> Iterator[Callable[[str], str]]:
    """The image that podman or buildah has built, each once."""
    made: dict[str, str] = {}
    with ExitStack() as stack:

        def find(tool: str) -> str:
            if tool not in made:
                made[tool] = stack.enter_context(images.image(tool, build))
            return made[tool]

        yield find


@pytest.fixture(scope="session")
def image(image_of: Callable[[str], str]) -> str:
    """The image, built by podman."""
    return image_of("podman")
