"""Objects in Cloud Storage: what this cloud alone is asked for, and what goes wrong half-way."""

from typing import Any

import pytest

from deploy import config
from deploy.batch.places import Remote
from deploy.gcp import storage
from deploy.target import CloudError


@pytest.fixture
def settings(project) -> config.Config:
    return config.load(project("iris"))


@pytest.fixture
def place(cloud) -> Any:
    yield Remote("gs", cloud.bucket, "objects/")
    cloud.storage.remove(cloud.uri("objects/"))


@pytest.mark.parametrize("size", [0, 5, storage.CHUNK, 2 * storage.CHUNK + 7])
def test_what_is_written_piece_by_piece_is_an_object(settings, place, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with storage.written(settings, place / "a") as writer:
        for at in range(0, size, 3_000_000):
            writer.write(body[at : at + 3_000_000])
    with storage.opened(settings, place / "a") as reader:
        assert b"".join(iter(lambda: reader.read(2**20), b"")) == body


@pytest.mark.parametrize("size", [5, 2 * storage.CHUNK + 7])
def test_what_is_given_up_half_way_is_no_object(settings, place, size):
    with pytest.raises(RuntimeError, match="enough"), storage.written(settings, place / "a") as writer:
        writer.write(b"x" * size)
        raise RuntimeError("enough")
    assert storage.listed(settings, place) == []


def test_an_upload_that_fails_is_an_error_and_no_object(settings, place, tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 20_000_000)

    def broken(sent: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        storage.upload(settings, [(tmp_path / "a", place / "a")], broken)
    assert storage.listed(settings, place) == []


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(cloud, settings, place):
    size = 2 * storage.CHUNK
    cloud.storage.put(cloud.uri("objects/a"), b"x" * size)
    with pytest.raises(CloudError, match="412"), storage.opened(settings, place / "a") as reader:
        assert reader.read(1) == b"x"
        cloud.storage.put(cloud.uri("objects/a"), b"y" * size)
        reader.read(size)


def test_an_upload_in_parts_that_is_refused_is_a_sentence(cloud, settings, place):
    cloud.refuse("PUT objects", 403)
    with pytest.raises(CloudError, match="403"), storage.written(settings, place / "a") as writer:
        writer.write(b"x" * 2 * storage.CHUNK)
