"""`batch-transform` as a person uses it, against the tests' own local cloud: real jobs, real containers."""

import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.awsrequest import AWSResponse
from waiting import until

ROOT = Path(__file__).parents[2]
BUCKET = "slipway-tests"
HANDLER = """\
import json
import time
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def preprocess(self, instances):
        return [self.number(instance) for instance in instances]

    def number(self, instance):
        if instance == "wait":
            time.sleep(1.5)
            return 0
        if isinstance(instance, dict):
            instance = instance["x"]
        return int(instance[0] if isinstance(instance, list) else instance)

    def predict(self, inputs):
        return [self.factor * value for value in inputs]
"""


@pytest.fixture
def scored(iris: Path, deploy: Callable[..., int], tmp_path: Path) -> Callable[..., int]:
    """Runs the verb on `in` and `out` of the test's own folder, or on what is named."""
    (iris / "inference/handler.py").write_text(HANDLER)
    # A model of the test's own: a run that another test has made is not to be found again.
    (iris / "build/model/weights.json").write_text(json.dumps({"factor": 2, "of": str(tmp_path)}))

    def run(*options: str, source: str = "", output: str = "") -> int:
        places = ["--input", source or str(tmp_path / "in"), "--output", output or str(tmp_path / "out")]
        return deploy(iris, "batch-transform", *places, *options)

    return run


@pytest.fixture
def wrote(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Writes input files."""

    def write(files: dict[str, str | bytes]) -> Path:
        for name, body in files.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body.encode() if isinstance(body, str) else body)
        return tmp_path / "in"

    return write


@pytest.fixture
def out(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """What OUTPUT holds, hidden files too, but for the report."""

    def read() -> dict[str, str]:
        place = tmp_path / "out"
        paths = [path for path in place.rglob("*") if path.is_file() and path.name != "report.json"]
        return {path.relative_to(place).as_posix(): path.read_text() for path in paths}

    return read


@pytest.fixture
def jobs(local_cloud: Any) -> Callable[[], list[str]]:
    """The names of the jobs that were started since the test began, the newest first."""
    sagemaker = local_cloud.client("sagemaker")

    def names() -> list[str]:
        pages = sagemaker.get_paginator("list_transform_jobs").paginate()
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]

    before = set(names())
    return lambda: [name for name in names() if name not in before]


@pytest.fixture
def results(local_cloud: Any) -> Iterator[str]:
    """A prefix of the bucket, empty before and after."""
    s3 = local_cloud.client("s3")
    yield f"s3://{BUCKET}/results"
    for one in s3.list_objects_v2(Bucket=BUCKET, Prefix="results/").get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])


def stored(local_cloud: Any, prefix: str) -> dict[str, str]:
    s3 = local_cloud.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]
    return {key[len(prefix) :]: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys}


def test_a_folder_is_scored_in_order_counted_and_told(scored, wrote, out, jobs, local_cloud, held, capsys):
    wrote({"a.jsonl": "1\n\n2\n3", "sub/b.jsonl": "7\n" * 1000})
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n4\n6\n", "sub/b.jsonl.out": "14\n" * 1000}
    told = capsys.readouterr().out
    assert "2 of 2 files, 1,003 rows in, 1,003 rows out, 0 rows failed" in told
    assert re.search(r"results in \S+/out, each as <file>\.out; job iris-[0-9a-f]{12}-1$", told, re.MULTILINE)
    assert jobs() == [re.findall("job (iris-[0-9a-f]{12}-1)", told)[-1]]
    # Nothing that was staged is left, and a model is enough: there is no endpoint.
    assert stored(local_cloud, "iris/batch/") == {}
    assert {thing.split()[0] for thing in held("iris")} == {"archive", "model"}


def test_a_finished_run_starts_nothing_again_and_a_lost_result_is_made_anew(scored, wrote, out, jobs, capsys):
    place = wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored() == scored() == 0
    assert "all is scored (2 files): no job is started" in capsys.readouterr().out
    assert len(jobs()) == 1
    (place.parent / "out/a.jsonl.out").write_text("5\n")
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n", "b.jsonl.out": "4\n"}
    assert [name[-2:] for name in jobs()] == ["-2", "-1"]


def test_one_bad_record_costs_its_file_alone_and_the_rest_is_not_scored_twice(
    scored, wrote, out, jobs, capsys
):
    wrote({"a.jsonl": "1\n2\n", "b.jsonl": '3\n"bad"\n5\n', "c.jsonl": "6\n"})
    assert scored() == 1
    told = capsys.readouterr()
    assert out() == {"a.jsonl.out": "2\n4\n", "c.jsonl.out": "12\n"}
    assert "2 of 3 files, 3 rows in, 3 rows out" in told.out
    assert re.search("^  b.jsonl: .*invalid literal for int", told.out, re.MULTILINE)
    assert "400: preprocess: ValueError: invalid literal for int() with base 10: 'bad'" in told.err
    assert told.err.splitlines()[-1].startswith("error: without a result: 1 of 3 files: b.jsonl: ")
    assert scored() == 1
    assert "b.jsonl" in capsys.readouterr().err
    first, second = reversed(jobs())
    assert (first[-1], second[-1]) == ("1", "2")
    # With another policy it is another run: all of it, and every row has its answer or its reason.
    assert scored("--on-error", "keep") == 0
    assert out()["b.jsonl.out"].splitlines()[::2] == ["6", "10"]
    assert json.loads(out()["b.jsonl.out"].splitlines()[1])["slipway_error"]


def test_kept_failures_are_told_with_their_lines_and_reasons(scored, wrote, out, capsys):
    wrote({"a.jsonl": '1\n\n"bad"\n3\n{"y":1}\n', "b.jsonl": "1\n"})
    assert scored("--on-error", "keep") == 0
    errors = [json.loads(line) for line in out()["a.jsonl.errors.jsonl"].splitlines()]
    assert [error["line"] for error in errors] == [3, 5]
    assert "bad" in errors[0]["reason"]
    assert "b.jsonl.errors.jsonl" not in out()
    told = capsys.readouterr().out
    assert "2 of 2 files, 5 rows in, 5 rows out, 2 rows failed" in told
    assert "  a.jsonl: 2 rows failed, see a.jsonl.errors.jsonl" in told


def test_csv_with_a_header_reaches_the_handler_by_name(scored, wrote, out):
    wrote({"a.csv": "\ufeffy,x\r\n1,2\r\nbad,3\r\n", "b.csv": "y,x\n1,bad\n\n1,5\n"})
    assert scored("--header", "strip", "--on-error", "keep") == 0
    assert out()["a.csv.out"].split() == ["4", "6"]
    assert out()["b.csv.out"].splitlines()[1] == "10"
    (error,) = (json.loads(line) for line in out()["b.csv.errors.jsonl"].splitlines())
    assert error["line"] == 2


def test_rows_come_back_with_their_predictions_and_a_header_over_both(scored, wrote, out, tmp_path):
    wrote({"a.csv": "x,y\n1,a\nbad,b\n3,c\n"})
    assert scored("--header", "strip", "--join", "input", "--on-error", "keep") == 0
    head, first, bad, last = out()["a.csv.out"].splitlines()
    assert (head, first, last) == ("x,y,prediction", "1,a,2", "3,c,6")
    assert bad.startswith("bad,b,slipway_error,")
    (error,) = (json.loads(line) for line in out()["a.csv.errors.jsonl"].splitlines())
    assert error["line"] == 3


def test_json_lines_joined_and_compressed(scored, wrote, out):
    wrote({"a.jsonl.gz": gzip.compress(b'{"x":1,"y":1.0}\n{"x":2}\n')})
    assert scored("--join", "input") == 0
    assert [json.loads(line) for line in out()["a.jsonl.gz.out"].splitlines()] == [
        {"x": 1, "y": 1.0, "SageMakerOutput": 2},
        {"x": 2, "SageMakerOutput": 4},
    ]


def test_parquet_files_travel_whole_and_a_failed_row_is_known_by_its_number(scored, wrote, out, tmp_path):
    wrote({})
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"x": ["1", "bad", "3"]}), tmp_path / "in/a.parquet")
    assert scored("--on-error", "keep") == 0
    assert out()["a.parquet.out"].splitlines()[::2] == ["2", "6"]
    assert json.loads(out()["a.parquet.errors.jsonl"])["line"] == 2


def test_a_parquet_object_is_counted_without_fetching_it_whole(scored, out, results, local_cloud, fresh):
    body = io.BytesIO()
    pq.write_table(pa.table({"x": list(range(50_000))}), body, compression="none")
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key="results/a.parquet", Body=body.getvalue())
    fetched: list[int] = []
    fresh().events.register(
        "after-call.s3.GetObject", lambda parsed, **_: fetched.append(parsed.get("ContentLength", 0))
    )
    assert scored(source=f"{results}/a.parquet") == 0
    lines = out()["a.parquet.out"].splitlines()
    assert (len(lines), lines[-1]) == (50_000, "99998")
    # The footer's length, the footer, and the result.
    assert sum(fetched[:2]) < 0.01 * len(body.getvalue())
    assert len(fetched) == 3


def test_from_bucket_to_bucket(scored, out, results, jobs, local_cloud, capsys):
    s3 = local_cloud.client("s3")
    bodies = {"a.jsonl": "1\n2\n", "sub/b.jsonl": '3\n\n"bad"\n', "_SUCCESS": "", "sub/": ""}
    for name, body in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=f"given/{name}", Body=body)
    s3.put_object(Bucket=BUCKET, Key="given-2/c.jsonl", Body="9\n")
    places = {"source": f"s3://{BUCKET}/given", "output": results}
    assert scored("--on-error", "keep", **places) == 0
    found = stored(local_cloud, "results/")
    assert set(found) == {"a.jsonl.out", "sub/b.jsonl.out", "sub/b.jsonl.errors.jsonl", "report.json"}
    assert found["a.jsonl.out"] == "2\n4\n"
    assert json.loads(found["sub/b.jsonl.errors.jsonl"])["line"] == 3
    assert json.loads(found["report.json"])["rows_failed"] == 1
    assert stored(local_cloud, "iris/batch/") == {}
    assert scored("--on-error", "keep", **places) == 0
    assert len(jobs()) == 1
    # One object, brought here.
    assert scored(source=f"s3://{BUCKET}/given/a.jsonl") == 0
    assert out() == {"a.jsonl.out": "2\n4\n"}


def test_from_here_to_a_bucket_and_another_run_takes_its_place(scored, wrote, results, jobs, local_cloud):
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored(output=results) == 0
    wrote({"a.jsonl": "5\n"})
    assert scored(output=results) == 0
    found = stored(local_cloud, "results/")
    assert (found["a.jsonl.out"], found["b.jsonl.out"]) == ("10\n", "4\n")
    # The first run again: what lies there is the second's, so it is scored anew.
    wrote({"a.jsonl": "1\n"})
    assert scored(output=results) == 0
    assert stored(local_cloud, "results/")["a.jsonl.out"] == "2\n"
    assert len(jobs()) == 3


def test_results_that_no_report_knows_are_not_overwritten(
    scored, wrote, out, results, jobs, local_cloud, capsys
):
    wrote({"a.jsonl": "1\n", "b.jsonl": "1\n"})
    Path(wrote({}).parent, "out").mkdir()
    Path(wrote({}).parent, "out/b.jsonl.out").write_text("mine")
    assert scored() == 1
    assert "out/b.jsonl.out: there already, and no report" in capsys.readouterr().err
    assert out() == {"b.jsonl.out": "mine"}
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key="results/a.jsonl.out", Body="mine")
    assert scored(output=results) == 1
    assert "results/a.jsonl.out: there already, and no report" in capsys.readouterr().err
    assert stored(local_cloud, "results/") == {"a.jsonl.out": "mine"}
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
    scored, wrote, iris, tmp_path, monkeypatch, capsys, files, options, said
):
    if files:
        wrote(files)
    with monkeypatch.context() as unreachable:
        unreachable.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert scored(*options) == 1
    assert said in capsys.readouterr().err


def test_bad_places_are_refused_before_anything_is_started(scored, wrote, jobs, tmp_path, capsys):
    wrote({"a.jsonl": "1\n"})
    (tmp_path / "file").write_text("")
    for places, said in [
        ({"output": str(tmp_path / "in/out")}, "lie one in the other"),
        ({"output": str(tmp_path / "file/out")}, "cannot be written"),
        ({"output": "gs://bucket/out"}, "expected a path of this machine or s3://bucket/prefix"),
        ({"output": "s3://no-such-bucket/out"}, "OUTPUT s3://no-such-bucket/out: the bucket is not there"),
        ({"source": "s3://no-such-bucket/in"}, "INPUT s3://no-such-bucket/in: the bucket is not there"),
        ({"source": f"s3://{BUCKET}/nothing"}, "no input there"),
    ]:
        assert scored(**places) == 1
        assert said in capsys.readouterr().err
    assert jobs() == []


def test_a_bucket_of_another_account_is_refused(scored, wrote, jobs, local_cloud, capsys):
    local_cloud.client("s3", account="999999999999").create_bucket(Bucket="slipway-theirs")
    wrote({"a.jsonl": "1\n"})
    for places in ({"output": "s3://slipway-theirs/out"}, {"source": "s3://slipway-theirs/in"}):
        assert scored(**places) == 1
        assert "belongs to another account than 123456789012" in capsys.readouterr().err
    assert jobs() == []


def test_a_handler_that_drops_rows_fails_the_file(scored, wrote, iris, out, capsys):
    text = (iris / "inference/handler.py").read_text()
    (iris / "inference/handler.py").write_text(
        text.replace("for value in inputs]", "for value in inputs if value]")
    )
    wrote({"a.jsonl": "1\n0\n", "b.jsonl": "1\n"})
    assert scored() == 1
    assert out() == {"b.jsonl.out": "2\n"}
    told = capsys.readouterr()
    assert "  a.jsonl: " in told.out
    assert "predict returned 1 predictions for 2 instances" in told.err


def test_a_result_with_rows_missing_fails_the_run_and_names_the_file_with_both_counts(
    scored, wrote, out, local_cloud, fresh, capsys
):
    """Whatever a job says: its results are counted. Here one is changed behind its back."""
    wrote({"a.jsonl": "1\n2\n3\n", "b.jsonl": "1\n"})

    def tamper(**_: Any) -> None:
        for key, body in stored(local_cloud, "iris/batch/").items():
            if key.endswith("a.jsonl.out") and len(body.split()) == 3:
                local_cloud.client("s3").put_object(Bucket=BUCKET, Key=f"iris/batch/{key}", Body="2\n4\n")

    fresh().events.register("before-call.s3.GetObject", tamper)
    assert scored() == 1
    assert "a.jsonl: 3 rows in, 2 rows out" in capsys.readouterr().err.splitlines()[-1]
    assert out() == {"b.jsonl.out": "2\n"}


def test_the_job_of_somebody_else_under_our_name_is_left_alone(scored, wrote, out, jobs, local_cloud, capsys):
    wrote({"a.jsonl": "1\n"})
    assert scored() == 0
    sagemaker = local_cloud.client("sagemaker")
    arn = sagemaker.describe_transform_job(TransformJobName=jobs()[0])["TransformJobArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["slipway:deployment"])
    capsys.readouterr()
    assert scored() == 1
    assert "is there already and is not this deployment's" in capsys.readouterr().err


def test_a_model_that_was_deleted_meanwhile_is_a_sentence(scored, wrote, local_cloud, fresh, capsys):
    wrote({"a.jsonl": "1\n"})
    sagemaker = local_cloud.client("sagemaker")

    def delete(**_: Any) -> None:
        for model in sagemaker.list_models(NameContains="iris-")["Models"]:
            sagemaker.delete_model(ModelName=model["ModelName"])

    fresh().events.register("before-call.sagemaker.CreateTransformJob", delete)
    assert scored() == 1
    said = capsys.readouterr().err
    assert "Could not find model" in said and "give the same command again" in said
    fresh()
    assert scored() == 0


def test_live_asks_before_a_job_and_nothing_is_made_without_a_yes(scored, wrote, held, jobs, capsys):
    wrote({"a.jsonl": "1\n"})
    assert scored("--live") == 1
    said = capsys.readouterr().err
    assert "Start a transform job on 1 x ml.m7i.large?" in said and "YES=1" in said
    assert (held("iris"), jobs()) == (set(), [])
    assert scored("--live", "--yes") == 0


@pytest.fixture
def begun(iris: Path, local_cloud: Any, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the verb as a process of its own."""
    started = []

    def start() -> subprocess.Popen[str]:
        words = ["--project", str(iris), "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "deploy", "batch-transform", *words],
                cwd=ROOT,
                env=local_cloud.shell,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def test_ctrl_c_stops_the_job_and_the_same_command_scores_what_is_left(
    scored, wrote, out, jobs, begun, local_cloud, capsys
):
    wrote({"a.jsonl": "1\n", "b.jsonl": '"wait"\n' * 2})
    process = begun()
    until(lambda: any("a.jsonl.out" in key for key in stored(local_cloud, "iris/batch/")))
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert f"transform job {jobs()[0]} was asked to stop, since it is billed" in said
    assert scored() == 0
    # The second job has one file alone, and is measured by it.
    assert "InProgress, 0 of 1 file, 0 of 2 records" in capsys.readouterr().out
    assert out() == {"a.jsonl.out": "2\n", "b.jsonl.out": "0\n" * 2}
    sagemaker = local_cloud.client("sagemaker")
    states = [
        sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"] for name in jobs()
    ]
    assert states == ["Completed", "Stopped"]


def test_a_terminal_is_shown_a_bar_and_the_report_in_the_end(scored, wrote, iris, local_cloud, tmp_path):
    wrote({"a.jsonl": "1\n", "b.jsonl": '"wait"\n'})
    controller, terminal = pty.openpty()
    words = ["--project", str(iris), "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", "batch-transform", *words],
        cwd=ROOT,
        env={**local_cloud.shell, "COLUMNS": "80", "TERM": "xterm"},
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
    wrote, iris, scored, deploy, jobs, begun, local_cloud, capsys
):
    wrote({"a.jsonl": '"wait"\n'})
    process = begun()
    until(jobs)
    process.kill()
    process.wait()
    s3, sagemaker = local_cloud.client("s3"), local_cloud.client("sagemaker")
    s3.put_object(Bucket=BUCKET, Key="iris/batch/mine/a.out", Body="mine")
    assert "a.jsonl" in {key.rpartition("/")[2] for key in stored(local_cloud, "iris/batch/")}
    assert deploy(iris, "destroy", "--yes") == 0
    assert f"delete transform_job {jobs()[0]}" in capsys.readouterr().out
    assert sagemaker.describe_transform_job(TransformJobName=jobs()[0])["TransformJobStatus"] == "Stopped"
    assert set(stored(local_cloud, "iris/batch/")) == {"mine/a.out"}
    s3.delete_object(Bucket=BUCKET, Key="iris/batch/mine/a.out")


def test_a_result_that_was_changed_in_a_bucket_is_made_anew(scored, wrote, results, jobs, local_cloud):
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored(output=results) == 0
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key="results/a.jsonl.out", Body="9\n")
    assert scored(output=results) == 0
    found = stored(local_cloud, "results/")
    assert (found["a.jsonl.out"], found["b.jsonl.out"]) == ("2\n", "4\n")
    assert [name[-2:] for name in jobs()] == ["-2", "-1"]


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


def test_what_is_staged_stays_while_another_job_reads_it(scored, wrote, out, jobs, local_cloud, fresh):
    """The same files into two OUTPUTs at once: the first command that ends leaves the other its input."""
    wrote({"a.jsonl": '"wait"\n'})
    sagemaker, again = local_cloud.client("sagemaker"), []

    def start_another(**_: Any) -> None:
        if again:
            return
        first = sagemaker.describe_transform_job(TransformJobName=jobs()[0])
        again.append(f"{first['TransformJobName'][:-1]}2")
        parts = ("ModelName", "TransformInput", "TransformOutput", "TransformResources", "Environment")
        tags = [{"Key": "slipway:deployment", "Value": "iris"}]
        sagemaker.create_transform_job(
            TransformJobName=again[0], Tags=tags, **{part: first[part] for part in parts}
        )

    fresh().events.register("after-call.s3.GetObject", start_another)
    assert scored() == 0
    assert any(key.endswith("/in/a.jsonl") for key in stored(local_cloud, "iris/batch/"))
    fresh()
    assert scored() == 0
    assert stored(local_cloud, "iris/batch/") == {}


def test_a_result_that_is_gone_when_its_job_has_ended_says_so(scored, wrote, out, local_cloud, fresh, capsys):
    wrote({"a.jsonl": "1\n"})
    s3 = local_cloud.client("s3")

    def clear(parsed: Any, **_: Any) -> None:
        if parsed.get("TransformJobStatus") == "Completed":
            for key in stored(local_cloud, "iris/batch/"):
                s3.delete_object(Bucket=BUCKET, Key=f"iris/batch/{key}")

    fresh().events.register("after-call.sagemaker.DescribeTransformJob", clear)
    assert scored() == 1
    assert "1 of 1 file: a.jsonl: its result is gone, as where " in capsys.readouterr().err
    fresh()
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n"}


def test_a_file_that_changes_while_it_is_uploaded_is_refused_and_not_kept(
    scored, wrote, out, jobs, local_cloud, fresh, capsys
):
    place = wrote({"a.jsonl": "1\n"})

    def change(params: Any, **_: Any) -> None:
        if "in/a.jsonl" in params["url"]:
            (place / "a.jsonl").write_text("3\n")

    fresh().events.register("before-call.s3.PutObject", change)
    assert scored() == 1
    assert "in/a.jsonl: changed while it was uploaded" in capsys.readouterr().err
    assert not any("/in/" in key for key in stored(local_cloud, "iris/batch/"))
    assert jobs() == []


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_file_that_fails_after_a_change_keeps_no_older_result(
    scored, wrote, out, results, local_cloud, where
):
    wrote({"a.jsonl": '1\n"bad"\n', "b.jsonl": "1\n"})
    places = {"output": results} if where == "there" else {}
    assert scored("--on-error", "keep", **places) == 0
    assert scored(**places) == 1
    # What lies in another folder is none of its business.
    local_cloud.client("s3").put_object(Bucket=BUCKET, Key="results/other/a.jsonl.out", Body="1\n2\n")
    assert scored(**places) == 1
    found = out() if where == "here" else stored(local_cloud, "results/")
    assert found.pop("other/a.jsonl.out", "1\n2\n") == "1\n2\n"
    assert set(found) - {"report.json"} == {"b.jsonl.out"}


def test_every_call_of_s3_names_the_account_that_must_own_the_bucket(scored, wrote, results, fresh):
    wrote({"a.jsonl": '1\n"bad"\n', "b.jsonl": "1\n"})
    owners: dict[str, set[str | None]] = {}

    def note(model: Any, params: Any, **_: Any) -> None:
        owners.setdefault(model.name, set()).add(params["headers"].get("x-amz-expected-bucket-owner"))

    fresh().events.register("before-call.s3", note)
    assert scored("--on-error", "keep", output=results) == 0
    assert scored(output=results) == 1
    assert {"HeadBucket", "PutObject", "GetObject", "ListObjectsV2", "DeleteObjects"} <= set(owners)
    assert {name for name, found in owners.items() if found != {"123456789012"}} == set()


def test_to_score_on_this_machine_takes_no_clouds_sdk(project, tmp_path):
    numbers = tmp_path / "numbers.jsonl"
    numbers.write_text("1\n2\n")
    script = (
        "import sys\n"
        "sys.modules['boto3'] = None\n"
        "from deploy.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["batch-transform", "--engine", "local", "--project", str(project()), "--input", str(numbers)]
    command = [sys.executable, "-c", script, *words, "--output", str(tmp_path / "scored")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scored/numbers.jsonl.out").read_text() == "2\n4\n"
