"""A handler that streams, deployed by the verbs and asked through both clouds' own SDKs."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import clouds
import pytest
from clouds import streams
from waiting import until

ROOT = Path(__file__).parents[2]
# What each SDK raises where a stream breaks off.
BROKEN = {
    "aws": ("botocore.exceptions", "EventStreamError", "ModelStreamError"),
    "gcp": ("requests.exceptions", "ChunkedEncodingError", "prematurely|IncompleteRead"),
}


@pytest.fixture(scope="module", params=clouds.NAMES)
def deployed(request, both_clouds, tmp_path_factory):
    """Deployed once for all tests of a cloud."""
    place = tmp_path_factory.mktemp("streaming") / "teller"
    with streams.deployed(both_clouds(request.param), place) as made:
        assert made.run("deploy-endpoint") == 0
        yield made


def gated(gates, parts=2):
    return [{"gates": str(gates), "parts": parts}]


def body(tmp_path, instances):
    (tmp_path / "body.json").write_text(json.dumps(instances))
    return ["--body", str(tmp_path / "body.json")]


def test_a_piece_arrives_through_the_sdk_before_the_next_is_made(deployed, tmp_path):
    lines = deployed.lines(gated(tmp_path, parts=4))
    for number in range(4):
        assert next(lines) == f'"part {number}"'.encode()
        (tmp_path / str(number + 1)).touch()
    (tmp_path / "end").touch()
    assert set(lines) <= {b'"more"'}


def test_server_sent_events_through_the_sdk_for_who_accepts_them(deployed, tmp_path):
    lines = deployed.lines(gated(tmp_path), Accept="text/event-stream")
    assert next(lines) == b'data: "part 0"'
    for name in ("1", "end"):
        (tmp_path / name).touch()
    told = [line for line in lines if line]
    assert told[0] == b'data: "part 1"'
    assert set(told[1:]) <= {b'data: "more"'}


def test_a_stream_that_breaks_off_is_the_sdk_s_error(deployed, tmp_path):
    module, name, code = BROKEN[deployed.cloud.name]
    lines = deployed.lines([{"late": str(tmp_path)}])
    assert next(lines) == b'"first"'
    (tmp_path / "1").touch()
    with pytest.raises(getattr(__import__(module, fromlist=[name]), name), match=code):
        list(lines)


def test_who_leaves_midway_ends_the_generator(deployed, tmp_path):
    lines = deployed.lines(gated(tmp_path, parts=1))
    assert next(lines) == b'"part 0"'
    lines.close()
    until((tmp_path / "closed").exists)


def test_who_asks_for_no_stream_gets_the_pieces_together(deployed):
    assert deployed.whole([2, 0]) == [[0, 1], []]


@contextlib.contextmanager
def invoking(deployed, *options):
    """`invoke` as a process, whose output is read while it comes."""
    command = [sys.executable, "-m", "deploy", "invoke", "--project", str(deployed.place)]
    with subprocess.Popen(
        [*command, "--cloud", deployed.cloud.name, *options],
        cwd=ROOT,
        env=deployed.cloud.local.shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # it may wait for a piece that nobody makes


def test_invoke_prints_the_pieces_as_they_come(deployed, tmp_path):
    with invoking(deployed, *body(tmp_path, gated(tmp_path))) as process:
        assert process.stdout.readline() == b'"part 0"\n'
        (tmp_path / "1").touch()
        assert process.stdout.readline() == b'"part 1"\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_invoke_posts_the_samples_and_prints_them_whole(deployed, capfdbinary):
    assert deployed.run("invoke") == 0
    assert capfdbinary.readouterr().out == b"0\n1\n2\n\n"


def test_invoke_tells_where_a_stream_broke_off(deployed, tmp_path, capfdbinary):
    with invoking(deployed, *body(tmp_path, [{"late": str(tmp_path)}])) as process:
        assert process.stdout.readline() == b'"first"\n'
        (tmp_path / "1").touch()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, b"")
    assert re.match(rb"error: the answer broke off after 8 bytes \(.+\): `logs` shows", err)
    assert deployed.run("logs") == 0
    assert b"RuntimeError: after the first piece" in capfdbinary.readouterr().out


def test_a_refusal_before_the_first_piece_is_told_as_of_any_handler(deployed, tmp_path, capfdbinary):
    (tmp_path / "body.json").write_text("{")
    assert deployed.run("invoke", "--body", str(tmp_path / "body.json")) == 1
    assert b"error: the container answered 400: " in capfdbinary.readouterr().err


def test_a_deploy_proves_it_and_prints_a_program_that_streams(deployed, capsys):
    assert deployed.run("deploy-endpoint") == 0
    told = capsys.readouterr().out
    assert re.search(
        r"^teller answered 2 of 2 samples, [\d.]+ ms each, the first piece after [\d.]+ ms$", told, re.M
    )
    program = told.partition("# the same from Python:\n")[2].partition("# end\n")[0]
    assert re.search("invoke_endpoint_with_response_stream|stream_raw_predict", program)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=deployed.cloud.local.shell,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "0\n1\n2\n", done.stderr


def test_latency_tells_the_first_piece_and_the_rest_apart(deployed, capsys):
    assert deployed.run("latency", "--times", "4") == 0
    told = capsys.readouterr().out
    rows = dict(re.findall(r"^ *([a-z ]+?) {2,}([\d.]+ .*)$", told, re.M))
    assert {"whole", "first piece", "predict", "pieces after the first"} <= set(rows), told
    first, whole = (float(rows[name].split()[0]) for name in ("first piece", "whole"))
    assert 0 < first <= whole
    assert "in pieces: the container's phases are those until the first" in told
    assert "8 answers" in told


def test_a_batch_job_has_the_pieces_together(deployed, tmp_path):
    (tmp_path / "in.jsonl").write_text("2\n0\n")
    places = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out")]
    assert deployed.run("batch-transform", *places) == 0
    assert (tmp_path / "out/in.jsonl.out").read_text() == "[0,1]\n[]\n"
    places[-1] = str(tmp_path / "here")
    assert deployed.run("batch-transform", *places, "--engine", "local") == 0
    assert (tmp_path / "here/in.jsonl.out").read_text() == "[0,1]\n[]\n"
