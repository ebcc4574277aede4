"""Objects, as both clouds keep them: one promise (`deploy.batch.cloud.Storage`), held by two modules."""

import importlib
from typing import Any

import pytest

from deploy import config
from deploy.batch.places import Remote
from deploy.target import CloudError


@pytest.fixture
def storage(cloud) -> Any:
    yield importlib.import_module(f"deploy.{cloud.name}.storage")
    cloud.storage.remove(cloud.uri("objects/"))


@pytest.fixture
def settings(project) -> config.Config:
    return config.load(project("iris"))


@pytest.fixture
def place(cloud, storage) -> Remote:
    return Remote(storage.SCHEME, cloud.bucket, "objects/")


def test_what_is_put_is_found_listed_read_from_anywhere_and_removed(cloud, storage, settings, place):
    storage.put(settings, place / "a", b"0123456789")
    storage.put(settings, place / "a/b", b"")
    storage.put(settings, place / "ä b?#%41.jsonl", b"1")
    assert storage.found(settings, place / "a").size == 10
    assert storage.found(settings, place / "nothing") is None
    assert storage.found(settings, place) is None
    assert [one.key[8:] for one in storage.listed(settings, place)] == ["a", "a/b", "ä b?#%41.jsonl"]
    assert read(storage, settings, place / "a", 0) == b"0123456789"
    assert read(storage, settings, place / "a", 7) == b"789"
    assert read(storage, settings, place / "a/b", 0) == b""
    assert read(storage, settings, place / "ä b?#%41.jsonl", 0) == b"1"
    storage.remove(settings, [place / "a", place / "nothing"])
    assert [one.key[8:] for one in storage.listed(settings, place)] == ["a/b", "ä b?#%41.jsonl"]
    storage.remove(settings, [])


def read(storage, settings, place, start, size=4):
    with storage.opened(settings, place, start) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


def test_a_digest_is_that_of_the_content(storage, settings, place):
    for name, body in {"a": b"1", "b": b"1", "c": b"2"}.items():
        storage.put(settings, place / name, body)
    a, b, c = (one.digest for one in storage.listed(settings, place))
    assert a == b != c


def test_files_are_uploaded_whole_and_their_bytes_told(storage, settings, place, tmp_path):
    bodies = {"a": b"x" * 100_000, "b": b"", "c": bytes(range(256)) * 40_000}
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    told: list[int] = []
    storage.upload(settings, [(tmp_path / name, place / name) for name in bodies], told.append)
    assert sum(told) == sum(map(len, bodies.values()))
    assert {name: read(storage, settings, place / name, 0, 2**20) for name in bodies} == bodies


def test_what_is_gone_and_whose_it_is_are_sentences(cloud, storage, settings, place):
    with (
        pytest.raises(CloudError, match="objects/a|does not exist"),
        storage.opened(settings, place / "a") as stream,
    ):
        stream.read(1)
    with pytest.raises(CloudError, match="^INPUT x: the bucket is not there: "):
        storage.reachable(settings, "nobody-has-this", "INPUT x: the bucket")
