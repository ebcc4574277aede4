"""What the tests of deploy/ share: verbs in this process, against the tests' own local cloud.

A test that uses `cloud`, or any of `deploy`, `iris`, `held` and `asked`, runs once for each cloud: the same
project, whose deploy.toml has both sections, and the same verbs but for --cloud. Where a test is of one cloud
alone, `cloud_name` says so, for a test or for a module:

    @pytest.mark.parametrize("cloud_name", ["aws"])
    def test_…

    @pytest.fixture
    def cloud_name():
        return "aws"

In tests/deploy/aws and tests/deploy/gcp it is said already. What `cloud` can be asked stands in clouds.Cloud:
objects by URI (`cloud.storage.put(cloud.uri("given/a.jsonl"), "1\\n")`), what listens to the verbs' calls
(`cloud.on_call`), what refuses them (`cloud.refuse`), and `cloud.local.shell`, the environment of a verb in a
process of its own.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clouds
import pytest
from clouds import aws, trainings

from deploy.__main__ import main


@pytest.fixture(params=clouds.NAMES)
def cloud_name(request: pytest.FixtureRequest) -> str:
    """Which cloud a test is run for: both, one after the other."""
    return request.param


@pytest.fixture
def cloud(
    cloud_name: str, both_clouds: Callable[[str], clouds.Cloud], monkeypatch: pytest.MonkeyPatch
) -> Iterator[clouds.Cloud]:
    """The cloud that the test is run for; this process speaks to it by its environment alone."""
    found = both_clouds(cloud_name)
    for name, value in found.local.environment.items():
        monkeypatch.setenv(name, value)
    found.forget()
    yield found
    found.forget()


@pytest.fixture
def project(project: Callable[..., Path]) -> Callable[..., Path]:
    """The project that multiplies numbers, for both clouds. [training] is the last section of its file."""

    def write(name: str = "multiplier", **given: Any) -> Path:
        return clouds.for_both(project(name, **given))

    return write


@pytest.fixture
def deploy(cloud: clouds.Cloud) -> Callable[..., int]:
    """Runs a verb; its exit status."""

    def run(place: Path, verb: str = "deploy-endpoint", *options: str) -> int:
        return main([verb, "--project", str(place), "--cloud", cloud.name, *options])

    return run


@pytest.fixture
def iris(project: Callable[..., Path], deploy: Callable[..., int], cloud: clouds.Cloud) -> Iterator[Path]:
    """A project of that name; whatever a test leaves of it is gone after."""
    place = project("iris")
    settings = (place / "deploy.toml").read_text()
    yield place
    cloud.forget()
    (place / "deploy.toml").write_text(settings)
    assert deploy(place, "destroy", "--yes") == 0


@pytest.fixture
def held(cloud: clouds.Cloud) -> Callable[[Path | str], set[str]]:
    """What the account holds of a deployment: archives, models, the endpoint, each as "kind name"."""
    return lambda place: cloud.held(clouds.named(place))


@pytest.fixture
def asked(cloud: clouds.Cloud) -> Callable[..., Any]:
    """What the endpoint answers to one line of JSON Lines, as JSON."""
    return lambda place, body="1": cloud.asked(clouds.named(place), body)


@pytest.fixture
def fresh(cloud: clouds.Cloud) -> Callable[[], Any]:
    """Makes boto3's session anew and returns it, so that a test can listen to what it sends. AWS alone."""
    assert cloud.name == "aws", "on both clouds: cloud.on_call and cloud.refuse"
    return aws.fresh


@pytest.fixture
def weighed() -> Callable[[Path, float], Path]:
    """Gives a project another model, which multiplies by this factor; returns the project."""

    def weigh(place: Path, factor: float) -> Path:
        (place / "build/model/weights.json").write_text(f'{{"factor": {factor}}}')
        return place

    return weigh


@pytest.fixture
def untrained(iris: Path) -> Path:
    """iris with a training script and no model."""
    shutil.rmtree(iris / "build/model")
    (iris / "training/train.py").write_text(trainings.TRAIN)
    return iris


@pytest.fixture
def jobs(cloud: clouds.Cloud) -> Callable[[], list[trainings.Training]]:
    """The training jobs of iris, the newest first, from the time at which the test began."""
    start = time.time()
    return lambda: [job for job in trainings.listed(cloud, "iris") if job.made >= start]


@pytest.fixture
def calls(cloud: clouds.Cloud) -> Counter[str]:
    """How often each operation of the API was called from now on."""
    counted: Counter[str] = Counter()
    cloud.on_call(lambda operation: counted.update([operation]))
    return counted
