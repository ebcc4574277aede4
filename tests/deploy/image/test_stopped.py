"""A build in the cloud is found or started, followed to its end, and stopped by whatever ends the wait."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from deploy.image import following
from deploy.image.builders import BuildError
from deploy.image.following import Look
from deploy.target import CloudError, Refused

ROOT = Path(__file__).parents[3]
STARTED = {"aws": "StartBuild", "gcp": "POST builds"}
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


@pytest.fixture
def stop_at(cloud: Any) -> Callable[..., None]:
    """Has Ctrl-C pressed as soon as those calls were answered, each once, in this order."""

    def listen(*operations: str) -> None:
        ahead = list(operations)

        def heard(operation: str) -> None:
            if ahead and operation == ahead[0]:
                ahead.pop(0)
                if not ahead:
                    signal.raise_signal(signal.SIGINT)

        cloud.on_call(heard)

    return listen


def states(registry: Any) -> list[str]:
    return [registry.state(one) for one in registry.builds()]


@pytest.mark.parametrize("looks", [0, 2])
def test_ctrl_c_stops_the_build(
    imageless: Path,
    deploy: Callable[..., int],
    registry: Any,
    cloud: Any,
    stop_at: Callable[..., None],
    capsys: Any,
    looks: int,
) -> None:
    """Also in the instant in which its start was answered, and nobody has heard its name."""
    stop_at(STARTED[cloud.name], *[LOOKED[cloud.name]] * looks)
    assert deploy(imageless) == 130
    assert "stopped at change 1 of" in capsys.readouterr().err
    until(lambda: states(registry) == ["STOPPED"], 10)
    assert registry.tags() == set()


def test_a_build_that_a_killed_run_left_is_followed_and_no_second_one_started(
    imageless: Path, deploy: Callable[..., int], registry: Any, cloud: Any, stop_at: Callable[..., None]
) -> None:
    command = [sys.executable, "-m", "deploy", "deploy-endpoint", "--cloud", cloud.name]
    killed = subprocess.Popen([*command, "--project", str(imageless)], env=cloud.local.shell, cwd=ROOT)
    until(registry.builds, 60)
    killed.kill()
    killed.wait()
    stop_at(*[LOOKED[cloud.name]] * 3)
    assert deploy(imageless) == 130
    (build,) = registry.builds()
    assert registry.state(build) in {"IN_PROGRESS", "WORKING"}, "another run's is not stopped"
    registry.stop(build)


class Builds:
    """An image's builds: what each look shows, what runs already, how often one was started and stopped."""

    def __init__(self, *looks: Look | Exception, there: str = "", refused: Exception | None = None) -> None:
        self._looks, self._there, self._refused = list(looks), there, refused
        self.started, self.stopped = 0, list[str]()

    def running(self, own: bool = False) -> str:
        return "mine" if own else self._there

    def start(self) -> str:
        self.started += 1
        if self._refused:
            raise self._refused
        return "mine"

    def look(self, name: str) -> Look:
        one = self._looks.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    def stop(self, name: str) -> None:
        self.stopped.append(name)


def built(builds: Builds) -> list[str]:
    """Build; what was said meanwhile."""
    said: list[str] = []
    following.build(builds, said.append)
    return said


def test_a_build_that_is_done_is_not_stopped() -> None:
    builds = Builds(Look("running", "BUILD", ["first", "second"]), Look("done", "COMPLETED"))
    assert built(builds) == ["BUILD: second"]
    assert (builds.started, builds.stopped) == (1, [])


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_build_that_fails_tells_its_reason_and_the_end_of_its_log(state: Any) -> None:
    lines = [f"line {number}" for number in range(100)]
    builds = Builds(Look("running", "BUILD", lines), Look(state, "FAILED", ["the last"], "exit status 1"))
    with pytest.raises(BuildError, match="build mine: FAILED: exit status 1\nline 71\n") as error:
        built(builds)
    assert str(error.value).endswith("\nline 99\nthe last")
    assert builds.stopped == []


def test_a_build_that_cannot_be_looked_at_is_stopped() -> None:
    builds = Builds(Look("running", "BUILD"), CloudError("no network"))
    with pytest.raises(CloudError, match="no network"):
        built(builds)
    assert builds.stopped == ["mine"]


def test_a_start_whose_answer_was_lost_is_stopped_and_one_that_was_refused_is_not() -> None:
    lost, refused = Builds(refused=CloudError("timeout")), Builds(refused=Refused("no"))
    for builds in (lost, refused):
        with pytest.raises(CloudError, match=r"timeout|no"):
            built(builds)
    assert (lost.stopped, refused.stopped) == (["mine"], [])


def test_what_runs_already_is_followed_and_left_to_its_own() -> None:
    builds = Builds(Look("running", "BUILD"), Look("done", "COMPLETED"), there="other")
    assert built(builds) == ["build other of this image is under way already", "BUILD"]
    gone = Builds(CloudError("no network"), there="other")
    with pytest.raises(CloudError, match="no network"):
        built(gone)
    assert (builds.started, builds.stopped, gone.stopped) == (0, [], [])


def test_where_what_ran_already_was_stopped_another_is_started() -> None:
    builds = Builds(Look("stopped", "STOPPED"), Look("done", "COMPLETED"), there="other")
    built(builds)
    assert (builds.started, builds.stopped) == (1, [])


def test_one_that_cannot_be_stopped_is_told_of() -> None:
    class Unstoppable(Builds):
        def look(self, name: str) -> Look:
            raise KeyboardInterrupt

        def stop(self, name: str) -> None:
            raise CloudError("denied")

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        following.build(Unstoppable(), said.append)
    assert said == ["build mine could not be stopped (denied): it ends by its own time limit"]
