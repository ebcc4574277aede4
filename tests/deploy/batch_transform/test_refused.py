"""What is refused, or asked about, before a job is started."""

import pytest

APIS = [f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}" for name in ("AIPLATFORM", "LOGGING")]


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ({}, [], "in: not there"),
        ({"a.jsonl": ""}, [], "in/a.jsonl: empty"),
        ({"a.txt": "1\n"}, [], "in/a.txt: what it holds is told by its name"),
        ({"a.jsonl": "1\n", "b.csv": "1\n"}, [], "a run scores files of one kind"),
        ({"a.csv": "x,y\n1,2\n"}, [], 'header = "strip"'),
        ({"a.jsonl": "1\n" + "x" * 7 * 2**20}, [], "in/a.jsonl:2: the record is over 6 MB"),
        ({"a.jsonl": b"1\n\xff\n"}, [], "in/a.jsonl:2: not UTF-8"),
        ({"a.csv": '1,"a\nb"\n'}, [], "in/a.csv:1: a quoted field goes on"),
        ({"a.jsonl": "1\n"}, ["--header", "strip"], 'header = "strip" is for CSV'),
        (
            {"a.jsonl": "1\n"},
            ["--join", "input", "--accept", "text/csv"],
            "the platform wants the input's form",
        ),
    ],
)
def test_bad_input_is_refused_before_any_network(
    scored, wrote, cloud, tmp_path, monkeypatch, capsys, files, options, said
):
    if files:
        wrote(files)
    with monkeypatch.context() as unreachable:
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", *APIS):
            unreachable.setenv(name, "http://127.0.0.1:9")
        assert scored(*options) == 1
    assert said in capsys.readouterr().err


def test_bad_places_are_refused_before_anything_is_started(scored, wrote, jobs, cloud, tmp_path, capsys):
    wrote({"a.jsonl": "1\n"})
    (tmp_path / "file").write_text("")
    scheme, other = ("s3", "gs") if cloud.name == "aws" else ("gs", "s3")
    nobodys = f"{scheme}://no-such-bucket"
    for places, said in [
        ({"output": str(tmp_path / "in/out")}, "lie one in the other"),
        ({"output": str(tmp_path / "file/out")}, "cannot be written"),
        ({"output": f"{other}://a/out"}, f"expected a path of this machine or {scheme}://bucket/prefix"),
        ({"output": f"{nobodys}/out"}, f"OUTPUT {nobodys}/out: the bucket is not there"),
        ({"source": f"{nobodys}/in"}, f"INPUT {nobodys}/in: the bucket is not there"),
        ({"source": cloud.uri("nothing")}, "no input there"),
    ]:
        assert scored(**places) == 1
        assert said in capsys.readouterr().err
    assert jobs() == []


def test_live_asks_before_a_job_and_nothing_is_made_without_a_yes(scored, wrote, held, jobs, cloud, capsys):
    wrote({"a.jsonl": "1\n"})
    assert scored("--live") == 1
    said = capsys.readouterr().err
    machine = "ml.m7i.large" if cloud.name == "aws" else "n2-standard-2"
    assert f"Start a transform job on 1 x {machine}?" in said and "YES=1" in said
    assert (held("iris"), jobs()) == (set(), [])
    assert scored("--live", "--yes") == 0
