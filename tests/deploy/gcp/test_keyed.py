"""Records with keys: every line of a file that is a record, verbatim, once and in its place."""

import gzip
import io
import json
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from deploy import config
from deploy.batch import inputs
from deploy.batch.cloud import Cloud
from deploy.batch.orders import Order
from deploy.batch.places import BatchError, Remote
from deploy.gcp import keyed, storage, transforms
from deploy.sections import Batch


def told(body: bytes, skips: bool = False) -> list[dict[str, str]]:
    found = b"".join(keyed.lines(io.BytesIO(body), 7, skips))
    assert found.isascii() and (not found or found.endswith(b"\n"))
    return [json.loads(line) for line in found.split(b"\n")[:-1]]


def records(body: bytes) -> list[str]:
    """What is to come of it, slowly: what the platform would post, which knows no other lines."""
    lines = body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [line.decode() for line in lines if line.strip()]


def test_a_record_travels_verbatim_beside_its_key():
    body = '\ufeff{"x": 1}\r\n\n  \t\nä\u2028"\\\x1cb\n 3'.encode()
    assert told(body) == [
        {"key": "7:0", "record": '{"x": 1}\r'},
        {"key": "7:1", "record": 'ä\u2028"\\\x1cb'},
        {"key": "7:2", "record": " 3"},
    ]
    assert keyed.numbers("7:2") == (7, 2)


def test_a_header_that_is_left_out_has_no_number():
    assert told(b"\n\nx,y\n1,2\n\n3,4\n", skips=True) == [
        {"key": "7:0", "record": "1,2"},
        {"key": "7:1", "record": "3,4"},
    ]


@hypothesis.given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=30), st.booleans()
)
def test_any_text_comes_through(lines, skips):
    body = "\n".join(lines).encode()
    whole = records(body)
    assert [one["record"] for one in told(body, skips)] == whole[skips:]
    assert [one["key"] for one in told(body, skips)] == [f"7:{n}" for n in range(len(whole) - skips)]


def test_a_file_that_is_larger_than_a_block_keeps_its_numbers():
    body = b"".join(b"%d\n" % number for number in range(400_000))
    found = told(body)
    assert found[0] == {"key": "7:0", "record": "0"} and len(found) == 400_000
    assert found[-1] == {"key": "7:399999", "record": "399999"}


@pytest.mark.parametrize("key", ["", "1", "1:", ":1", "-1:2", "1:2 ", "a:b", None, 3, "1:2:3"])
def test_what_is_no_key_is_told(key):
    with pytest.raises(ValueError, match="no key"):
        keyed.numbers(key)


@pytest.fixture
def settings(project) -> config.Config:
    return config.load(project("iris"))


@pytest.fixture
def place(cloud) -> Any:
    yield Remote("gs", cloud.bucket, "objects/")
    cloud.storage.remove(cloud.uri("objects/"))


@pytest.fixture
def ordered(settings, place):
    """The order to score what lies at a place, with everything in it counted."""

    def make(origin: Any, **said: Any) -> Order:
        found = inputs.look(Cloud(settings, storage, transforms), origin, Batch(**said))
        order = Order("0" * 12, "iris-a", found.settings, found.kind, found.header, found.files, place, place)
        return replace(order, number=1, names=tuple(file.name for file in found.files))

    return make


def staged(cloud: Any) -> dict[str, list[tuple[str, str]]]:
    found = {}
    for uri in cloud.storage.list(cloud.uri("objects/in/")):
        rows = [json.loads(line) for line in cloud.storage.get(uri).splitlines()]
        found[uri.rpartition("/")[2]] = [(row["key"], row["record"]) for row in rows]
    return found


@pytest.mark.parametrize("where", ["here", "there"])
def test_files_are_staged_by_their_numbers_once(cloud, settings, place, ordered, tmp_path, where):
    bodies = {"a*.csv.gz": b"x,y\n1,2\n", "sub/b.csv.gz": b"x,y\n\n3,4\n5,6"}
    for name, body in bodies.items():
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(body))
        cloud.storage.put(cloud.uri(f"objects/given/{name}"), gzip.compress(body))
    origin = tmp_path / "given" if where == "here" else place / "given/"
    order = ordered(origin, header="strip")
    keyed.stage(settings, order, origin, place / "in/")
    first = {"0.jsonl": [("0:0", "1,2")], "1.jsonl": [("1:0", "3,4"), ("1:1", "5,6")]}
    assert staged(cloud) == first
    cloud.storage.put(cloud.uri("objects/in/0.jsonl"), '{"key": "", "record": "as it was"}\n')
    cloud.storage.remove(cloud.uri("objects/in/1.jsonl"))
    keyed.stage(settings, order, origin, place / "in/")
    assert staged(cloud) == first | {"0.jsonl": [("", "as it was")]}


def test_the_header_goes_with_rows_that_are_joined(cloud, settings, place, ordered, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    (given / "a.csv").write_text("x,y\n1,2\n")
    keyed.stage(settings, ordered(given, header="strip", join="input"), given, place / "in/")
    assert staged(cloud) == {"0.jsonl": [("0:0", "x,y"), ("0:1", "1,2")]}


@pytest.mark.parametrize("now", [b"3\n", b"\xff\n", b""])
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_file_that_is_not_what_was_counted_makes_no_object(
    cloud, settings, place, ordered, tmp_path, where, now
):
    given = tmp_path / "given"
    given.mkdir()
    (given / "a.jsonl.gz").write_bytes(gzip.compress(b"1\n"))
    cloud.storage.put(cloud.uri("objects/given/a.jsonl.gz"), gzip.compress(b"1\n"))
    origin = given if where == "here" else place / "given/"
    order = ordered(origin)
    (given / "a.jsonl.gz").write_bytes(now and gzip.compress(now))
    cloud.storage.put(cloud.uri("objects/given/a.jsonl.gz"), now)
    with pytest.raises(BatchError, match=r"a\.jsonl\.gz: changed while it was uploaded"):
        keyed.stage(settings, order, origin, place / "in/")
    assert staged(cloud) == {}
