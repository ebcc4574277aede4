"""`destroy` where the bucket is gone: what else there is goes, and that nothing is left is no failure."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Deploy = Callable[..., int]


class Bucket:
    """A bucket of the test's own, which deploy.toml names."""

    def __init__(self, cloud: Any, name: str) -> None:
        self.cloud, self.name = cloud, name

    def make(self) -> None:
        if self.cloud.name == "aws":
            self.cloud.local.client("s3").create_bucket(Bucket=self.name)
        else:
            self.cloud.client.create_bucket(self.name)

    def remove(self) -> None:
        self.cloud.storage.remove(self.cloud.uri().replace(self.cloud.bucket, self.name))
        if self.cloud.name == "aws":
            self.cloud.local.client("s3").delete_bucket(Bucket=self.name)
        else:
            self.cloud.client.bucket(self.name).delete()
        self.cloud.forget()


@pytest.fixture
def named(iris: Path, cloud: Any) -> Callable[[str], Path]:
    """Has deploy.toml name that bucket."""

    def name(bucket: str) -> Path:
        file = iris / "deploy.toml"
        file.write_text(file.read_text().replace(f'bucket = "{cloud.bucket}"', f'bucket = "{bucket}"'))
        return iris

    return name


@pytest.fixture
def bucket(cloud: Any, named: Callable[[str], Path]) -> Iterator[Bucket]:
    made = Bucket(cloud, "slipway-soon-gone")
    named(made.name)
    made.make()
    yield made


def test_what_is_left_of_a_deployment_goes_without_its_bucket(
    iris: Path, deploy: Deploy, bucket: Bucket, held: Any, capsys: Any
) -> None:
    assert deploy(iris) == 0
    bucket.remove()
    kinds = {thing.split()[0] for thing in held(iris)}
    assert {"model", "endpoint"} <= kinds
    capsys.readouterr()
    assert deploy(iris, "destroy", "--yes") == 0
    told = capsys.readouterr()
    assert f"bucket '{bucket.name}' is not there" in told.err
    for kind in kinds:
        assert f"delete  {kind}" in told.out
    assert "nothing of iris is left" in told.out
    assert held(iris) == set()
    assert deploy(iris, "destroy", "--yes") == 0, "and once more"


def test_with_a_bucket_that_never_was_destroy_finds_nothing_and_says_so(
    named: Callable[[str], Path], deploy: Deploy, cloud: Any, capsys: Any
) -> None:
    assert deploy(named("slipway-mistyped"), "destroy", "--yes") == 0
    told = capsys.readouterr()
    assert "nothing of iris is left" in told.out
    assert f"deploy.toml: [{cloud.name}]: bucket 'slipway-mistyped' is not there" in told.err


def test_a_bucket_of_somebody_else_is_none_that_is_gone(
    named: Callable[[str], Path], deploy: Deploy, cloud: Any, capsys: Any
) -> None:
    place = named(cloud.bucket_of_others)
    assert deploy(place, "destroy", "--yes") == 1
    assert "nothing of iris is left" not in capsys.readouterr().out
