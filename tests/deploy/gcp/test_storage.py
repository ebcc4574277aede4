"""Objects in Cloud Storage: what this cloud alone is asked for, and what goes wrong half-way."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy import config
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.gcp import clients, locks, storage
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


class Down(BaseHTTPRequestHandler):
    """A Cloud Storage that tells what buckets there are, unless that is down, too, and else answers 503."""

    protocol_version = "HTTP/1.1"
    buckets: tuple[str, ...] = ()

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        listed = self.buckets and self.command == "GET" and self.path.startswith("/storage/v1/b?")
        known = {"items": [{"kind": "storage#bucket", "name": one} for one in self.buckets]}
        body = json.dumps(known if listed else {"error": {"code": 503, "message": "busy"}}).encode()
        self.send_response(200 if listed else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def down(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """Has the verbs find such a service, and wait for it but shortly; what was tried again, and why."""
    tried: list[Exception] = []
    soon = clients.STORED.with_delay(initial=0.01, maximum=0.02).with_timeout(0.1)
    monkeypatch.setattr(clients, "STORED", soon)
    again = soon._predicate
    monkeypatch.setattr(soon, "_predicate", lambda error: again(error) and not tried.append(error))
    monkeypatch.setattr(Down, "buckets", (cloud.bucket,))
    with ThreadingHTTPServer(("127.0.0.1", 0), Down) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        cloud.forget()
        yield tried
        cloud.forget()
        server.shutdown()


def opened(settings: Config, place: Remote) -> None:
    with storage.opened(settings, place):
        pass


def written(settings: Config, place: Remote) -> None:
    with storage.written(settings, place) as writer:
        writer.write(b"x")


def uploaded(settings: Config, place: Remote) -> None:
    storage.upload(settings, [(Path(__file__), place)], lambda _: None)


def added(settings: Config, place: Remote) -> None:
    storage.add(settings, Path(__file__), place, lambda _: None)


@pytest.mark.timeout(60)  # by itself Google's client would try for two minutes
@pytest.mark.parametrize(
    "call",
    [
        storage.found,
        storage.listed,
        storage.contents,
        opened,
        uploaded,
        added,
        written,
        lambda settings, place: storage.put(settings, place, b"x"),
        lambda settings, place: storage.remove(settings, [place]),
        lambda settings, _: locks.read(settings),
        lambda settings, _: locks.write(settings, b"{}", ""),
        lambda settings, _: locks.remove(settings),
    ],
)
def test_a_service_that_is_down_is_tried_again_for_a_while_and_then_told(
    settings: Config, place: Remote, down: list[Exception], call: Callable[[Config, Remote], object]
) -> None:
    with pytest.raises(CloudError, match="503"):
        call(settings, place / "a")
    assert len(down) > 1


@pytest.mark.timeout(60)
def test_so_is_one_that_does_not_even_tell_whose_a_bucket_is(
    settings: Config, down: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Down, "buckets", ())
    with pytest.raises(CloudError, match=r"busy \(503\)$"):
        storage.check(settings)
    assert len(down) > 1


@pytest.mark.timeout(60)
def test_so_is_an_address_at_which_nothing_is(
    settings: Config, down: list[Exception], cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    cloud.forget()
    with pytest.raises(CloudError, match="127.0.0.1 was not reached"):
        storage.check(settings)
    assert len(down) > 1


def test_the_sdk_s_own_bounds_are_none_of_ours() -> None:
    """What is asked again is asked for half a minute at most, as everywhere else on Google Cloud."""
    assert (clients.STORED.timeout, clients.READ.timeout) == (30.0, 30.0)
