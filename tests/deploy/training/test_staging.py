"""Bundles in a bucket of either cloud, and a model's objects brought back as one archive."""

import importlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import config
from deploy.batch.places import Remote
from deploy.target import CloudError
from deploy.training import gathering, staging
from deploy.training.bundles import Bundle, File


@pytest.fixture
def shelf(cloud: Any, project: Callable[..., Path]) -> Any:
    storage = importlib.import_module(f"deploy.{cloud.name}.storage")
    yield staging.Shelf(storage, config.load(project("iris")), Remote(storage.SCHEME, cloud.bucket, "shelf/"))
    cloud.storage.remove(cloud.uri("shelf/"))


def file(path: Path, text: str) -> File:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return File(path.name, path, path.stat().st_size, path.stat().st_mtime_ns)


def quiet(state: str) -> None:
    pass


def test_what_lies_under_a_digest_is_not_sent_again_and_what_is_cut_short_is(cloud, shelf, tmp_path):
    files = file(tmp_path / "files/a", "1"), file(tmp_path / "files/b", "22")
    bundle, elsewhere = Bundle("train", files, "0" * 64), Bundle("more", uri="s3://elsewhere/")
    told: list[str] = []
    staging.stage(shelf, [bundle, elsewhere], told.append)
    there = [cloud.uri(f"shelf/data/{'0' * 12}/{name}") for name in "ab"]
    assert cloud.storage.list(cloud.uri("shelf/")) == there
    assert told[-1] == "100% of 0.0 MB"
    cloud.storage.put(there[0], "x")  # of the same size: under a digest, that is the content
    cloud.storage.put(there[1], "y")
    staging.stage(shelf, [bundle], quiet)
    assert [cloud.storage.get(uri) for uri in there] == [b"x", b"22"]


@pytest.mark.parametrize("how", ["another time", "gone"])
def test_a_file_that_changes_while_it_is_uploaded_is_not_left_under_its_digest(cloud, shelf, tmp_path, how):
    whole, changing = file(tmp_path / "files/a", "1"), file(tmp_path / "files/b", "22")
    if how == "another time":
        changing = replace(changing, changed_ns=changing.changed_ns - 1)

    def say(state: str) -> None:
        if how == "gone" and state.startswith("100%"):
            changing.path.unlink()

    with pytest.raises(CloudError, match="b: changed while it was uploaded: let it be finished"):
        staging.stage(shelf, [Bundle("code", (whole, changing), "0" * 64)], say)
    assert cloud.storage.list(cloud.uri("shelf/")) == [cloud.uri(f"shelf/code/{'0' * 12}/a")]


def test_a_model_s_objects_become_the_members_of_an_archive(cloud, shelf, tmp_path):
    given = {"weights": b"w" * 100_000, "deep/ä b.json": b"{}", "empty": b"", "../out": b"1"}
    for name, body in given.items():
        cloud.storage.put(cloud.uri(f"shelf/{name}"), body)
    cloud.storage.put(cloud.uri("shelf/deep/"), b"")  # what a console makes for a folder
    told: list[str] = []
    assert gathering.gather(shelf, tmp_path / "model.tar.gz", told.append) == 4
    assert told[-1] == "100% of 0.1 MB"
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        found = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}
    assert found == given


@pytest.mark.parametrize("change", [-1, 1])
def test_an_object_that_changes_while_it_is_fetched_is_not_taken(cloud, shelf, tmp_path, change):
    cloud.storage.put(cloud.uri("shelf/weights"), b"1234")
    listed = [replace(one, size=one.size + change) for one in shelf.storage.listed(shelf.config, shelf.root)]
    stale = SimpleNamespace(listed=lambda *_: listed, opened=shelf.storage.opened)
    with pytest.raises(CloudError, match="shelf/weights: changed while it was fetched"):
        gathering.gather(replace(shelf, storage=stale), tmp_path / "model.tar.gz", quiet)
