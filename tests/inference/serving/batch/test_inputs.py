"""What is refused before anything is started: nothing is written, and no handler is loaded."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from inference.serving.batch import inputs
from inference.serving.batch.inputs import BadInput


def refused(place: Path, policy: str = "none") -> str:
    with pytest.raises(BadInput) as caught:
        inputs.header_of(inputs.find(place), policy)
    return str(caught.value)


@pytest.mark.parametrize(
    ("files", "policy", "reason"),
    [
        ({}, "none", "holds no input; expected .jsonl"),
        ({".hidden.jsonl": b"1", "_SUCCESS": b"", "_temporary/a.jsonl": b"1"}, "none", "holds no input"),
        ({"a.JSONL": b"1", "b.CSV.GZ": b"1"}, "none", "b.CSV.GZ are of different kinds"),
        ({"a.jsonl": b""}, "none", "a.jsonl is empty"),
        ({"a.jsonl": b" \n\n"}, "none", "a.jsonl is empty"),
        ({"a.csv.gz": gzip.compress(b"")}, "none", "a.csv.gz is empty"),
        ({"a.csv.gz": b"no gzip"}, "none", "cannot be read: Not a gzipped file"),
        ({"a.txt": b"1"}, "none", "a.txt is no input; expected .jsonl"),
        ({"a.parquet.gz": b"1"}, "none", "a.parquet.gz is no input"),
        ({"a.parquet": b"hello world"}, "none", "is no Parquet file"),
        ({"a.jsonl": b"1", "b.csv": b"1"}, "none", "b.csv are of different kinds"),
        ({"a.jsonl": b"1", "b/c.jsonl.gz": gzip.compress(b"1")}, "none", "c.jsonl.gz are of different kinds"),
        ({"a.csv": b"x,name\n1,text\n"}, "none", 'looks like a header: \'x,name\'; say what it is: header ='),
        ({"a.csv": b"\xef\xbb\xbf\n\r\n'x'\n\n-1.5e3\n"}, "none", "looks like a header"),
        ({"a.csv": b"x,y\n1,2\n", "b.csv": b"y,x\r\n1,2\n"}, "strip", "b.csv begin with different headers"),
        ({"a.csv": b"\xff\n1\n"}, "none", "not UTF-8"),
        ({"a.csv": b"x,x\n1,2\n"}, "strip", "a.csv begins with 'x,x', which is no header"),
        ({"a.csv": b'x,"y\nz",w\n'}, "strip", "which is no header"),
        ({"a.csv": b"x,,y\n1,2,3\n"}, "strip", "which is no header"),
        ({"a.jsonl": b"1", "a.jsonl.out/b.jsonl": b"1"}, "none", "a.jsonl: a folder beside it is named as"),
        ({"a.csv": b"1", "a.csv.errors.jsonl/b/c.csv": b"1"}, "none", "a.csv: a folder beside it is named"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused_by_name(
    tmp_path: Path, files: dict[str, bytes], policy: str, reason: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(content)
    assert reason in refused(tmp_path, policy)


@pytest.mark.parametrize(
    "content",
    [b"x,y\n", b"x,y\nz,w\n", b"x,\n1,2\n", b"x,1\n1,2\n", b"1,2\n3,4\n", b'x,y\n"1""\n'],
    ids=["alone", "text below", "an empty cell", "a number", "numbers", "broken"],
)
def test_rows_that_do_not_look_like_a_header_are_rows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert inputs.header_of(inputs.find(tmp_path), "none") == ""


def test_one_header_is_read_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfx,"y,z"\r\n1,2\r\n')
    (tmp_path / "b.csv").write_bytes(b'x,"y,z"')
    assert inputs.header_of(inputs.find(tmp_path), "strip") == 'x,"y,z"'


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path}/nowhere is not there" in refused(tmp_path / "nowhere")


def test_a_place_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in refused(tmp_path / ("a" * 300))


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_bytes(b"1")
    monkeypatch.chdir(tmp_path / "in")
    for _ in range(20):  # deeper than a path may be long, so that nobody, not even root, can list it
        Path("d" * 250).mkdir()
        monkeypatch.chdir("d" * 250)
    assert "cannot be read: File name too long" in refused(tmp_path / "in")


def test_links_to_folders_and_things_that_are_no_files_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/more").symlink_to(tmp_path)
    assert "more is a link to a folder" in refused(tmp_path / "in")
    (tmp_path / "in/more").unlink()
    os.mkfifo(tmp_path / "in/a.jsonl")
    assert "a.jsonl is no regular file" in refused(tmp_path / "in")


def test_a_name_that_leaves_no_room_for_its_outputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{'a' * 240}.jsonl").write_bytes(b"1")
    assert "expected a name of at most 242 bytes" in refused(tmp_path)


@pytest.mark.parametrize(
    ("source", "output"),
    [("d", "d"), ("d", "d/out"), ("d/in", "d"), ("d/in/a.jsonl", "d/in"), ("d", "link/x")],
)
def test_neither_place_may_lie_in_the_other(tmp_path: Path, source: str, output: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    with pytest.raises(BadInput, match="lie in one another"):
        inputs.check_places(tmp_path / source, tmp_path / output)


def test_places_side_by_side_are_allowed(tmp_path: Path) -> None:
    inputs.check_places(tmp_path / "in", tmp_path / "in2")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--accept", "application/x-npy"), "expected application/jsonlines or text/csv"),
        (("--accept", "image/png"), "cannot be answered"),
        (("--accept", "text/csv", "--join", "input"), "answers in the input's own form"),
        (("--model", "nowhere.tar.gz"), "--model nowhere.tar.gz is not there"),
    ],
)
def test_options_that_cannot_be_met_are_refused(batch, options: tuple[str, ...], reason: str) -> None:
    batch.put("a.jsonl", [1])
    done = batch.run(*options)
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_output_place_that_cannot_be_written_is_refused(batch) -> None:
    batch.put("a.jsonl", [1])
    batch.output.write_text("a file")
    assert f"OUT {batch.output} cannot be written: File exists" in batch.run().stderr


def test_an_answer_that_is_not_ours_is_not_overwritten(batch) -> None:
    batch.put("a.jsonl", [1])
    batch.output.mkdir()
    (batch.output / "a.jsonl.out").write_text("precious")
    done = batch.run()
    assert done.returncode == 1
    assert "a.jsonl.out is there and is not known to .slipway-batch.json; move it away" in done.stderr
    assert (batch.output / "a.jsonl.out").read_text() == "precious"


def test_the_help_teaches(batch) -> None:
    said = batch.run("--help").stdout
    assert "30 2 * * *" in said
    assert "--on-error" in said
