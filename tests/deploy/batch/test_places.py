from pathlib import Path

import pytest

from deploy.batch.places import BatchError, Remote, parse, prefix, refuse_nested


def test_a_place_is_a_path_or_a_prefix_of_the_cloud_s_own_store():
    assert parse("a/b", "s3") == Path("a/b")
    assert parse("s3://bucket", "s3") == Remote("s3", "bucket", "")
    assert parse("s3://bucket/a/b.csv", "s3") == Remote("s3", "bucket", "a/b.csv")
    assert str(prefix(Remote("s3", "bucket", "a"))) == "s3://bucket/a/"
    assert str(prefix(Remote("s3", "bucket", ""))) == "s3://bucket/"


@pytest.mark.parametrize("text", ["gs://bucket/a", "s3://", "s3:///a", "http://x/y", ""])
def test_a_place_of_another_cloud_or_none_is_refused(text):
    with pytest.raises(BatchError, match="expected a path"):
        parse(text, "s3")


@pytest.mark.parametrize(
    ("source", "output"),
    [("in", "in"), ("in", "in/out"), ("in/a", "in"), ("in", "./x/../in"), ("s3://b/in", "s3://b/in/")]
    + [("s3://b/in/", "s3://b/in/out"), ("s3://b/in/a.csv", "s3://b/in"), ("s3://b", "s3://b/out")],
)
def test_places_that_lie_one_in_the_other_are_refused(source, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BatchError, match="lie one in the other"):
        refuse_nested(parse(source, "s3"), parse(output, "s3"))


@pytest.mark.parametrize(
    ("source", "output"), [("in", "in-2"), ("s3://b/in", "s3://b/in-2"), ("in", "s3://b/in"), ("s3://b", "b")]
)
def test_places_apart_are_not(source, output):
    refuse_nested(parse(source, "s3"), parse(output, "s3"))


def test_a_link_does_not_hide_that_output_is_input(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "in")
    with pytest.raises(BatchError, match="lie one in the other"):
        refuse_nested(tmp_path / "in", tmp_path / "out")
