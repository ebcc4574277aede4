"""Local files, looked at before anything is started; of a cloud there is none in this file."""

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.batch import inputs, outputs
from deploy.batch.cloud import Cloud
from deploy.batch.inputs import Inputs
from deploy.batch.kinds import Kind
from deploy.batch.places import BatchError
from deploy.sections import Batch


class OfSettings:
    """All that a local place needs of a cloud: whatever else it did with this one would be an error."""

    storage = config = None
    transforms: Any

    @staticmethod
    def check_settings(settings: Batch, kind: Kind) -> None:
        if settings.retries == 3:
            raise BatchError(f"no retries here, and the input is {kind}")


OfSettings.transforms = OfSettings


def look(place: Path, **settings: Any) -> Inputs:
    return inputs.look(cast(Cloud, OfSettings), place, Batch(**settings))


def refused(place: Path, **settings: Any) -> str:
    with pytest.raises(BatchError) as error:
        look(place, **settings)
    return str(error.value)


@pytest.fixture
def folder(tmp_path):
    """A folder of these files."""

    def make(**files: bytes) -> Path:
        place = tmp_path / "in"
        for name, body in files.items():
            path = place / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return place

    return make


def test_every_file_is_counted_and_known_by_its_content(folder):
    place = folder(b_jsonl=b"1\n\n2\n", a__c_jsonl=b"1\n2\n3")
    (place / "_SUCCESS").write_bytes(b"")
    (place / "_temporary").mkdir()
    (place / "_temporary" / "b.jsonl").write_bytes(b"4\n")
    found = look(place)
    assert [(f.name, f.size, f.rows, f.blank) for f in found.files] == [
        ("a/c.jsonl", 5, 3, 0),
        ("b.jsonl", 5, 2, 1),
    ]
    assert found.files[0].digest == hashlib.sha256(b"1\n2\n3").hexdigest()
    assert look(place / "b.jsonl").files == found.files[1:]


def test_a_compressed_file_is_counted_by_what_is_in_it(folder):
    body = gzip.compress(b"x,y\n1,2\n") + gzip.compress(b"3,4\n")
    place = folder(a_csv_gz=body)
    found = look(place, header="strip")
    assert (found.files[0].rows, found.header, found.files[0].digest) == (
        2,
        "x,y",
        hashlib.sha256(body).hexdigest(),
    )
    (place / "a.csv.gz").write_bytes(body[:-9])
    assert "a.csv.gz: cannot be read: " in refused(place, header="strip")
    (place / "a.csv.gz").write_bytes(b"x,y\n1,2\n")
    assert "a.csv.gz: cannot be read: Not a gzipped file" in refused(place, header="strip")


def test_a_parquet_file_is_counted_by_its_footer(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    pq.write_table(pa.table({"x": range(1000)}), place / "a.parquet", row_group_size=100)
    assert look(place).files[0].rows == 1000
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), place / "a.parquet")
    assert "a.parquet: empty" in refused(place)
    (place / "a.parquet").write_bytes(b"PAR1 no table")
    assert "a.parquet: no Parquet file: " in refused(place)
    with (place / "a.parquet").open("wb") as file:
        file.truncate(100 * 2**20 + 1)
    assert "travels whole, 100 MB at the most: split it" in refused(place)


def test_what_the_cloud_does_not_have_is_refused_before_a_file_is_read(folder):
    place = folder(a_csv=b"")
    assert refused(place, retries=3) == "no retries here, and the input is CSV"
    assert "in/a.csv: empty" in refused(place)


def test_a_place_without_input_is_refused(folder, tmp_path):
    assert (
        refused(tmp_path / "nothing")
        == f"{tmp_path}/nothing: not there, expected a file or a folder to score"
    )
    place = folder(_x_csv=b"1\n")
    (place / ".x.csv").rename(place / "_x.csv")
    assert f"{place}: no input there" in refused(place)


@pytest.mark.parametrize("body", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_a_record_is_refused_by_name(folder, body):
    assert "in/b.csv: empty, expected at least one record" in refused(folder(a_csv=b"1\n", b_csv=body))


def test_a_header_alone_is_no_record(folder):
    assert "in/a.csv: empty" in refused(folder(a_csv=b"x,y\n"), header="strip")


def test_what_is_wrong_in_a_file_is_told_with_its_line(folder):
    assert "in/b.jsonl:2: not UTF-8" in refused(folder(a_jsonl=b"1\n", b_jsonl=b"1\n\xff\n"))


def test_a_csv_record_of_7_mb_names_file_and_line(folder):
    place = folder(a_csv=b"1\n" + b"x" * 7 * 2**20 + b"\n")
    assert "in/a.csv:2: the record is over 6 MB" in refused(place)
    assert look(place, max_payload_mb=8).files[0].rows == 2


def test_headers_are_one_or_refused(folder):
    place = folder(a_csv=b"x,y\n1,2\n", b_csv=b"x,y\r\n3,4\r\n")
    assert look(place, header="strip").header == "x,y"
    assert [file.rows for file in look(place, header="strip").files] == [1, 1]
    assert "in/a.csv:1: the first row looks like a header" in refused(place)
    (place / "b.csv").write_bytes(b"y,x\n3,4\n")
    assert refused(place, header="strip").startswith("a.csv and b.csv have different headers")


@pytest.mark.parametrize("name", ["a\nb.csv", "\udcff.csv", "x" * 225 + ".csv"])
def test_a_name_that_cannot_be_a_key_or_get_an_ending_is_refused(folder, name):
    place = folder(a_csv=b"1\n")
    (place / "a.csv").rename(place / os.fsdecode(os.fsencode(name)))
    assert "rename the file" in refused(place)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(folder, tmp_path):
    place = folder(a_csv=b"1\n")
    os.mkfifo(place / "b.csv")
    assert "in/b.csv: no regular file" in refused(place)
    (place / "b.csv").unlink()
    (tmp_path / "elsewhere").mkdir()
    (place / "more").symlink_to(tmp_path / "elsewhere")
    assert "in/more: a link to a folder" in refused(place)


@pytest.mark.parametrize("place", ["/proc/none", "file/out", "file"])
def test_an_output_that_cannot_be_written_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BatchError, match=f"^{place}: cannot be written: "):
        outputs.check_writable(Path(place))
