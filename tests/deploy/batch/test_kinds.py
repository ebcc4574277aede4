import pytest

from deploy.batch.kinds import CSV, JSONLINES, PARQUET, Kind, is_input, kind_of, one_kind
from deploy.batch.places import BatchError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", Kind(JSONLINES)),
        ("x/a.ndjson", Kind(JSONLINES)),
        ("a.b.CSV", Kind(CSV)),
        ("a.csv.gz", Kind(CSV, gzipped=True)),
        ("a.jsonl.GZ", Kind(JSONLINES, gzipped=True)),
        ("a.parquet", Kind(PARQUET)),
    ],
)
def test_a_file_s_name_tells_its_kind(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["a", "a.json", "a.txt", "a.gz", "a.parquet.gz", "a.csv.zip", "jsonl"])
def test_another_name_is_refused_with_the_names_that_would_do(name):
    with pytest.raises(BatchError, match=rf"^{name}: what it holds is told by its name, expected \.jsonl"):
        kind_of(name)


def test_a_mix_of_kinds_or_compressions_is_refused_naming_one_of_each():
    with pytest.raises(BatchError, match=r"^a\.csv is CSV and c\.csv\.gz is CSV, gzip-compressed"):
        one_kind(["a.csv", "b.csv", "c.csv.gz"])
    with pytest.raises(BatchError, match=r"^a\.csv is CSV and b\.jsonl is JSON Lines"):
        one_kind(["a.csv", "b.jsonl"])
    assert one_kind(["a.csv", "b.csv"]) == Kind(CSV)


def test_marks_of_other_tools_are_no_input():
    assert [n for n in ("_SUCCESS", ".a.crc", "x/_b.csv", "_x/b.csv", "a.csv") if is_input(n)] == ["a.csv"]
