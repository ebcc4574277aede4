"""A build in the cloud is followed to its end, and stopped by whatever ends the wait."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from deploy.image.builders import BuildError
from deploy.image.following import Look, follow
from deploy.target import CloudError

LOOKED = {"aws": "BatchGetBuilds", "gcp": "GET builds"}


@pytest.fixture(scope="module")
def slow(start_cloud: Callable[..., Any]) -> Any:
    """A local cloud in which the build of an image takes a minute."""
    local = start_cloud(SLIPWAY_LOCAL_IMAGE_BUILD_S="60")
    local.client("s3").create_bucket(Bucket="slipway-tests")
    return local


@pytest.fixture
def cloud(cloud_name: str, slow: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The cloud of that name in there."""
    if cloud_name == "aws":
        from clouds.aws import Aws as Kind
    else:
        from clouds.gcp import Gcp as Kind
    found = Kind(slow)
    for name, value in slow.environment.items():
        monkeypatch.setenv(name, value)
    found.forget()
    yield found
    found.forget()
    found.close()


def test_ctrl_c_stops_the_build(
    imageless: Path, deploy: Callable[..., int], registry: Any, cloud: Any, capsys: Any
) -> None:
    looked: list[str] = []

    def heard(operation: str) -> None:
        if operation == LOOKED[cloud.name]:
            looked.append(operation)
            if len(looked) == 2:
                signal.raise_signal(signal.SIGINT)

    cloud.on_call(heard)
    assert deploy(imageless) == 130
    assert "stopped at change 1 of" in capsys.readouterr().err
    until(lambda: [registry.state(one) for one in registry.builds()] == ["STOPPED"], 10)
    assert registry.tags() == set()


class Build:
    """A build that is looked at: what it is each time, and whether it was stopped."""

    def __init__(self, *looks: Look | Exception) -> None:
        self._looks, self.stopped = list(looks), 0

    def look(self) -> Look:
        one = self._looks.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    def stop(self) -> None:
        self.stopped += 1


def test_a_build_that_is_done_is_not_stopped() -> None:
    build, heard = (
        Build(Look("running", "BUILD", ["first", "second"]), Look("done", "COMPLETED")),
        list[str](),
    )
    follow("b", build.look, build.stop, heard.append)
    assert (heard, build.stopped) == (["BUILD: second"], 0)


def test_a_build_that_fails_tells_its_reason_and_the_end_of_its_log() -> None:
    lines = [f"line {number}" for number in range(100)]
    build = Build(Look("running", "BUILD", lines), Look("failed", "FAILED", ["the last"], "exit status 1"))
    with pytest.raises(BuildError, match="build b: FAILED: exit status 1\nline 71\n") as error:
        follow("b", build.look, build.stop, lambda _: None)
    assert str(error.value).endswith("\nline 99\nthe last")
    assert build.stopped == 0


def test_a_build_that_cannot_be_looked_at_is_stopped() -> None:
    build = Build(Look("running", "BUILD"), CloudError("no network"))
    with pytest.raises(CloudError, match="no network"):
        follow("b", build.look, build.stop, lambda _: None)
    assert build.stopped == 1


def test_one_that_cannot_be_stopped_is_told_of() -> None:
    heard: list[str] = []

    def stop() -> None:
        raise CloudError("denied")

    with pytest.raises(KeyboardInterrupt):
        follow("b", lambda: (_ for _ in ()).throw(KeyboardInterrupt), stop, heard.append)
    assert heard == ["build b could not be stopped (denied): it ends by its own time limit"]
