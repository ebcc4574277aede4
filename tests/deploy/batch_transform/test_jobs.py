"""A job under way: stopped, joined by another command, shown, destroyed; and one that is somebody else's."""

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from clouds import stored
from waiting import until

ROOT = Path(__file__).parents[3]
# What listens to an SDK's own events, or looks at what SageMaker alone does file by file.
on_aws = pytest.mark.parametrize("cloud_name", ["aws"])


def test_the_job_of_somebody_else_under_our_name_is_left_alone(scored, wrote, jobs, account, cloud, capsys):
    wrote({"a.jsonl": "1\n"})

    def start_theirs(_: str) -> None:
        started = jobs()
        if len(started) == 1 and account.state(started[0]) == "Completed":
            account.copy(started[0], f"{started[0][:-1]}2")

    cloud.on_call(start_theirs)
    assert scored() == 1
    assert "-2' is there already and is not this deployment's" in capsys.readouterr().err
    cloud.forget()
    until(lambda: account.state(jobs()[0]) not in {"InProgress", "PENDING"})
    assert scored() == 1
    assert "-2' is there already and is not this deployment's" in capsys.readouterr().err


def test_ctrl_c_stops_the_job_and_the_same_command_scores_what_is_left(
    scored, wrote, out, jobs, begun, cloud, account, capsys
):
    wrote({"a.jsonl": "1\n", "b.jsonl": '"wait"\n' * 2})
    process = begun()
    if cloud.name == "aws":  # which leaves a file's result when the file is done
        until(lambda: any("a.jsonl.out" in key for key in stored(cloud, "iris/batch/")))
    until(lambda: jobs() and account.state(jobs()[0]) == "InProgress")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert f"transform job {jobs()[0]} was asked to stop, since it is billed" in said
    assert scored() == 0
    # The second job has what is left alone, and is measured by it.
    left = "1 file, 0 of 2 records" if cloud.name == "aws" else "2 files, 0 of 3 records"
    assert f"InProgress, 0 of {left}" in capsys.readouterr().out
    assert out() == {"a.jsonl.out": "2\n", "b.jsonl.out": "0\n" * 2}
    assert [account.state(name) for name in jobs()] == ["Completed", "Stopped"]


@on_aws
def test_a_terminal_is_shown_a_bar_and_the_report_in_the_end(scored, wrote, iris, cloud, tmp_path):
    wrote({"a.jsonl": "1\n", "b.jsonl": '"wait"\n'})
    controller, terminal = pty.openpty()
    words = ["--project", str(iris), "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", "batch-transform", *words],
        cwd=ROOT,
        env={**cloud.local.shell, "COLUMNS": "80", "TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # Linux says EIO when the other side has closed
            while data := os.read(controller, 65536):
                shown += data
        os.close(controller)
        assert process.wait(30) == 0
    assert "━" in shown.decode()
    assert re.search(r"InProgress, 1 of 2 files, 1 of 2 records, \d+ a second, 0:\d\d left", shown.decode())
    assert "2 of 2 files, 2 rows in, 2 rows out, 0 rows failed" in shown.decode()


def test_a_job_that_goes_on_is_joined_by_the_next_call(scored, wrote, out, jobs, begun):
    wrote({"a.jsonl": "1\n", "b.jsonl": '"wait"\n'})
    process = begun()
    until(jobs)
    process.kill()
    process.wait()
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n", "b.jsonl.out": "0\n"}
    assert len(jobs()) == 1


def test_destroy_takes_away_what_was_staged_and_stops_a_job(
    wrote, iris, scored, deploy, jobs, begun, cloud, account, capsys
):
    wrote({"a.jsonl": '"wait"\n'})
    process = begun()
    until(jobs)
    process.kill()
    process.wait()
    cloud.storage.put(cloud.uri("iris/batch/mine/a.out"), "mine")
    assert any("/in/" in key for key in stored(cloud, "iris/batch/"))
    assert deploy(iris, "destroy", "--yes") == 0
    assert f"delete transform_job {jobs()[0]}" in capsys.readouterr().out
    assert account.state(jobs()[0]) == "Stopped"
    assert set(stored(cloud, "iris/batch/")) == {"mine/a.out"}
    cloud.storage.remove(cloud.uri("iris/batch/mine/"))


def test_what_is_staged_stays_while_another_job_reads_it(scored, wrote, jobs, account, cloud):
    """The same files into two OUTPUTs at once: the first command that ends leaves the other its input."""
    wrote({"a.jsonl": '"wait"\n'})

    def start_another(_: str) -> None:
        started = jobs()
        if len(started) == 1 and account.state(started[0]) == "Completed":
            account.copy(started[0], f"{started[0][:-1]}2", owner="iris")

    cloud.on_call(start_another)
    assert scored() == 0
    assert any("/in/" in key for key in stored(cloud, "iris/batch/"))
    cloud.forget()
    assert scored() == 0
    assert stored(cloud, "iris/batch/") == {}
