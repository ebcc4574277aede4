"""The same command again: what is finished stays, what is not ours is not touched, the rest is made anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from clouds import stored
from waiting import until

# What listens to an SDK's own events, or looks at what SageMaker alone does file by file.
on_aws = pytest.mark.parametrize("cloud_name", ["aws"])


def test_a_finished_run_starts_nothing_again_and_a_lost_result_is_made_anew(scored, wrote, out, jobs, capsys):
    place = wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored() == scored() == 0
    assert "all is scored (2 files): no job is started" in capsys.readouterr().out
    assert len(jobs()) == 1
    (place.parent / "out/a.jsonl.out").write_text("5\n")
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n", "b.jsonl.out": "4\n"}
    assert [name[-2:] for name in jobs()] == ["-2", "-1"]


def test_results_that_no_report_knows_are_not_overwritten(scored, wrote, out, results, jobs, cloud, capsys):
    wrote({"a.jsonl": "1\n", "b.jsonl": "1\n"})
    Path(wrote({}).parent, "out").mkdir()
    Path(wrote({}).parent, "out/b.jsonl.out").write_text("mine")
    assert scored() == 1
    assert "out/b.jsonl.out: there already, and no report" in capsys.readouterr().err
    assert out() == {"b.jsonl.out": "mine"}
    cloud.storage.put(cloud.uri("results/a.jsonl.out"), "mine")
    assert scored(output=results) == 1
    assert "results/a.jsonl.out: there already, and no report" in capsys.readouterr().err
    assert stored(cloud, "results/") == {"a.jsonl.out": "mine"}
    assert jobs() == []


def test_an_output_of_runs_before_may_hold_their_other_files(scored, wrote, out, tmp_path):
    wrote({"a.jsonl": "1\n"})
    assert scored() == 0
    (tmp_path / "in/a.jsonl").unlink()
    wrote({"b.jsonl": "2\n"})
    assert scored() == 0
    wrote({"a.jsonl": "4\n"})
    assert scored() == 0
    assert out() == {"a.jsonl.out": "8\n", "b.jsonl.out": "4\n"}


def test_a_result_that_was_changed_in_a_bucket_is_made_anew(scored, wrote, results, jobs, cloud):
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored(output=results) == 0
    cloud.storage.put(cloud.uri("results/a.jsonl.out"), "9\n")
    assert scored(output=results) == 0
    found = stored(cloud, "results/")
    assert (found["a.jsonl.out"], found["b.jsonl.out"]) == ("2\n", "4\n")
    assert [name[-2:] for name in jobs()] == ["-2", "-1"]


@on_aws
def test_results_brought_back_before_an_error_are_known_as_ours(
    scored, wrote, jobs, begun, fresh, tmp_path, capsys
):
    """Another OUTPUT than the one of the command that started the job: it holds no report yet."""
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    process = begun()
    until(jobs)
    process.kill()
    process.wait()

    class Body:
        def stream(self) -> Iterator[bytes]:
            yield b"<Error><Code>AccessDenied</Code><Message>no more</Message></Error>"

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        if not request.url.endswith("b.jsonl.out"):
            return None
        until((tmp_path / "out2/a.jsonl.out").exists)
        return AWSResponse(request.url, 403, {}, Body())

    fresh().events.register("before-send.s3.GetObject", refuse)
    assert scored(output=str(tmp_path / "out2")) == 1
    assert "no more (AccessDenied)" in capsys.readouterr().err
    fresh()
    assert scored(output=str(tmp_path / "out2")) == 0
    assert (tmp_path / "out2/b.jsonl.out").read_text() == "4\n"
    assert len(jobs()) == 1


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_file_that_fails_after_a_change_keeps_no_older_result(scored, wrote, out, results, cloud, where):
    wrote({"a.jsonl": '1\n"bad"\n', "b.jsonl": "1\n"})
    places = {"output": results} if where == "there" else {}
    assert scored("--on-error", "keep", **places) == 0
    assert scored(**places) == 1
    # What lies in another folder is none of its business.
    cloud.storage.put(cloud.uri("results/other/a.jsonl.out"), "1\n2\n")
    assert scored(**places) == 1
    found = out() if where == "here" else stored(cloud, "results/")
    assert found.pop("other/a.jsonl.out", "1\n2\n") == "1\n2\n"
    assert set(found) - {"report.json"} == {"b.jsonl.out"}
