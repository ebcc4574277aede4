"""`batch-transform` as a person uses it, against the tests' own local clouds: real jobs, real containers."""

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
from clouds import aws
from waiting import until

ROOT = Path(__file__).parents[2]
BUCKET = "slipway-tests"
# What listens to an SDK's own events, or looks at what SageMaker alone does file by file.
on_aws = pytest.mark.parametrize("cloud_name", ["aws"])
APIS = [f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}" for name in ("AIPLATFORM", "LOGGING")]
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


class AwsJobs:
    """The transform jobs of the account, the newest first."""

    def __init__(self, cloud: Any) -> None:
        self._client = cloud.local.client("sagemaker")

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_transform_jobs").paginate()
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]

    def state(self, name: str) -> str:
        return self._client.describe_transform_job(TransformJobName=name)["TransformJobStatus"]

    def copy(self, name: str, another: str, owner: str = "") -> None:
        """Start the job once more under another name, as a deployment's of that name or as nobody's."""
        first = self._client.describe_transform_job(TransformJobName=name)
        parts = ("ModelName", "TransformInput", "TransformOutput", "TransformResources", "Environment")
        tags = [{"Key": "slipway:deployment", "Value": owner}] if owner else []
        self._client.create_transform_job(
            TransformJobName=another, Tags=tags, **{part: first[part] for part in parts}
        )

    def remove_models(self) -> None:
        for model in self._client.list_models(NameContains="iris-")["Models"]:
            self._client.delete_model(ModelName=model["ModelName"])


class GcpJobs:
    """The batch prediction jobs of the project, the newest first, by their display names."""

    parent = "projects/slipway-tests/locations/us-central1"

    def __init__(self, cloud: Any) -> None:
        self._client, self._models = cloud.jobs, cloud.models

    def names(self) -> list[str]:
        return [job.display_name for job in self._newest_first()]

    def state(self, name: str) -> str:
        (job,) = (job for job in self._newest_first() if job.display_name == name)
        states = {"SUCCEEDED": "Completed", "CANCELLED": "Stopped", "RUNNING": "InProgress"}
        return states.get(job.state.name.removeprefix("JOB_STATE_"), job.state.name)

    def _newest_first(self) -> list[Any]:
        found = self._client.list_batch_prediction_jobs(parent=self.parent)
        return sorted(found, key=lambda job: job.create_time, reverse=True)

    def copy(self, name: str, another: str, owner: str = "") -> None:
        (first,) = (job for job in self._newest_first() if job.display_name == name)
        labels = {"slipway-deployment": owner} if owner else {}
        given = ("unmanaged_container_model", "input_config", "output_config", "dedicated_resources")
        job = {"display_name": another, "labels": labels} | {part: getattr(first, part) for part in given}
        self._client.create_batch_prediction_job(
            parent=self.parent, batch_prediction_job={**job, "instance_config": first.instance_config}
        )

    def remove_models(self) -> None:
        for model in self._models.list_models(parent=self.parent):
            if model.name.rpartition("/")[2].startswith("iris-"):
                self._models.delete_model(name=model.name).result(30)


@pytest.fixture
def account(cloud: Any) -> AwsJobs | GcpJobs:
    """What the cloud tells of jobs, and does with them."""
    return AwsJobs(cloud) if cloud.name == "aws" else GcpJobs(cloud)


@pytest.fixture
def jobs(account: Any) -> Callable[[], list[str]]:
    """The names of the jobs that were started since the test began, the newest first."""
    before = set(account.names())
    return lambda: [name for name in account.names() if name not in before]


@pytest.fixture
def results(cloud: Any) -> Iterator[str]:
    """A prefix of the bucket, empty before and after."""
    yield cloud.uri("results")
    cloud.storage.remove(cloud.uri("results/"))


@pytest.fixture
def fresh(cloud: Any) -> Iterator[Callable[[], Any]]:
    """Makes boto3's session anew and returns it, so that a test can listen to what it sends."""
    yield aws.fresh
    cloud.forget()


def stored(cloud: Any, prefix: str) -> dict[str, str]:
    uri = cloud.uri(prefix)
    return {one[len(uri) :]: cloud.storage.get(one).decode() for one in cloud.storage.list(uri)}


def test_a_folder_is_scored_in_order_counted_and_told(scored, wrote, out, jobs, cloud, held, capsys):
    wrote({"a.jsonl": "1\n\n2\n3", "sub/b.jsonl": "7\n" * 1000})
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n4\n6\n", "sub/b.jsonl.out": "14\n" * 1000}
    told = capsys.readouterr().out
    assert "2 of 2 files, 1,003 rows in, 1,003 rows out, 0 rows failed" in told
    assert re.search(r"results in \S+/out, each as <file>\.out; job iris-[0-9a-f]{12}-1$", told, re.MULTILINE)
    assert jobs() == [re.findall("job (iris-[0-9a-f]{12}-1)", told)[-1]]
    # Nothing that was staged is left, and a model is enough: there is no endpoint.
    assert stored(cloud, "iris/batch/") == {}
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


@on_aws
def test_a_parquet_object_is_counted_without_fetching_it_whole(scored, out, results, cloud, fresh):
    body = io.BytesIO()
    pq.write_table(pa.table({"x": list(range(50_000))}), body, compression="none")
    cloud.storage.put(cloud.uri("results/a.parquet"), body.getvalue())
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


def test_from_bucket_to_bucket(scored, out, results, jobs, cloud, capsys):
    bodies = {"a.jsonl": "1\n2\n", "sub/b.jsonl": '3\n\n"bad"\n', "_SUCCESS": "", "sub/": ""}
    for name, body in bodies.items():
        cloud.storage.put(cloud.uri(f"given/{name}"), body)
    cloud.storage.put(cloud.uri("given-2/c.jsonl"), "9\n")
    places = {"source": cloud.uri("given"), "output": results}
    assert scored("--on-error", "keep", **places) == 0
    found = stored(cloud, "results/")
    assert set(found) == {"a.jsonl.out", "sub/b.jsonl.out", "sub/b.jsonl.errors.jsonl", "report.json"}
    assert found["a.jsonl.out"] == "2\n4\n"
    assert json.loads(found["sub/b.jsonl.errors.jsonl"])["line"] == 3
    assert json.loads(found["report.json"])["rows_failed"] == 1
    assert stored(cloud, "iris/batch/") == {}
    assert scored("--on-error", "keep", **places) == 0
    assert len(jobs()) == 1
    # One object, brought here.
    assert scored(source=cloud.uri("given/a.jsonl")) == 0
    assert out() == {"a.jsonl.out": "2\n4\n"}


def test_from_here_to_a_bucket_and_another_run_takes_its_place(scored, wrote, results, jobs, cloud):
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored(output=results) == 0
    wrote({"a.jsonl": "5\n"})
    assert scored(output=results) == 0
    found = stored(cloud, "results/")
    assert (found["a.jsonl.out"], found["b.jsonl.out"]) == ("10\n", "4\n")
    # The first run again: what lies there is the second's, so it is scored anew.
    wrote({"a.jsonl": "1\n"})
    assert scored(output=results) == 0
    assert stored(cloud, "results/")["a.jsonl.out"] == "2\n"
    assert len(jobs()) == 3


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


def test_a_bucket_of_another_account_is_refused(scored, wrote, jobs, cloud, capsys):
    if cloud.name == "aws":
        cloud.local.client("s3", account="999999999999").create_bucket(Bucket="slipway-theirs")
        theirs, said = "s3://slipway-theirs", "belongs to another account than 123456789012"
    else:
        cloud.client.create_bucket("slipway-theirs-gcp", project="somebody-else")
        theirs, said = "gs://slipway-theirs-gcp", "the bucket is not one of project slipway-tests: whoever"
    wrote({"a.jsonl": "1\n"})
    for places in ({"output": f"{theirs}/out"}, {"source": f"{theirs}/in"}):
        assert scored(**places) == 1
        assert said in capsys.readouterr().err
    assert jobs() == []


def test_a_handler_that_drops_rows_fails_the_file(scored, wrote, iris, out, cloud, capsys):
    text = (iris / "inference/handler.py").read_text()
    (iris / "inference/handler.py").write_text(
        text.replace("for value in inputs]", "for value in inputs if value]")
    )
    wrote({"a.jsonl": "1\n0\n", "b.jsonl": "1\n"})
    assert scored() == 1
    assert out() == {"b.jsonl.out": "2\n"}
    told = capsys.readouterr()
    assert "  a.jsonl: " in told.out
    # On Google Cloud a record is asked for alone before it costs its file.
    returned = "1 predictions for 2" if cloud.name == "aws" else "0 predictions for 1"
    assert f"predict returned {returned} instances" in told.err


def test_a_result_with_rows_missing_fails_the_run_and_names_the_file_with_both_counts(
    scored, wrote, out, cloud, capsys
):
    """Whatever a job says: its results are counted. Here one is changed behind its back."""
    wrote({"a.jsonl": "1\n2\n3\n", "b.jsonl": "1\n"})

    def tamper(_: str) -> None:
        for key, body in stored(cloud, "iris/batch/").items():
            if key.endswith("out/a.jsonl.out") and len(body.split()) == 3:
                cloud.storage.put(cloud.uri(f"iris/batch/{key}"), "2\n4\n")

    cloud.on_call(tamper)
    assert scored() == 1
    assert "a.jsonl: 3 rows in, 2 rows out" in capsys.readouterr().err.splitlines()[-1]
    assert out() == {"b.jsonl.out": "2\n"}


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


def test_a_model_that_was_deleted_meanwhile_is_a_sentence(scored, wrote, cloud, account, jobs, capsys):
    wrote({"a.jsonl": "1\n"})

    def delete(_: str) -> None:
        if any("/in/" in key for key in stored(cloud, "iris/batch/")) and not jobs():
            account.remove_models()

    cloud.on_call(delete)
    assert scored() == 1
    said = capsys.readouterr().err
    assert "odel" in said and "it was there a moment ago; give the same command again" in said
    cloud.forget()
    assert scored() == 0


def test_live_asks_before_a_job_and_nothing_is_made_without_a_yes(scored, wrote, held, jobs, cloud, capsys):
    wrote({"a.jsonl": "1\n"})
    assert scored("--live") == 1
    said = capsys.readouterr().err
    machine = "ml.m7i.large" if cloud.name == "aws" else "n2-standard-2"
    assert f"Start a transform job on 1 x {machine}?" in said and "YES=1" in said
    assert (held("iris"), jobs()) == (set(), [])
    assert scored("--live", "--yes") == 0


@pytest.fixture
def begun(iris: Path, cloud: Any, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the verb as a process of its own."""
    started = []

    def start() -> subprocess.Popen[str]:
        places = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
        words = ["--project", str(iris), "--cloud", cloud.name, *places]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "deploy", "batch-transform", *words],
                cwd=ROOT,
                env=cloud.local.shell,
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


def test_a_result_that_is_gone_when_its_job_has_ended_says_so(
    scored, wrote, out, jobs, account, cloud, capsys
):
    wrote({"a.jsonl": "1\n"})

    def clear(_: str) -> None:
        if jobs() and account.state(jobs()[0]) == "Completed":
            cloud.storage.remove(cloud.uri("iris/batch/"))

    cloud.on_call(clear)
    assert scored() == 1
    assert "1 of 1 file: a.jsonl: its result is gone, as where " in capsys.readouterr().err
    cloud.forget()
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n"}


def test_a_file_that_changes_before_it_is_uploaded_is_refused_and_not_kept(
    scored, wrote, jobs, cloud, capsys
):
    place = wrote({"a.jsonl": "1\n"})
    # By the first call that it makes, the verb has counted the file.
    cloud.on_call(lambda _: (place / "a.jsonl").write_text("3\n") and None)
    assert scored() == 1
    assert "in/a.jsonl: changed while it was uploaded" in capsys.readouterr().err
    assert not any("/in/" in key for key in stored(cloud, "iris/batch/"))
    assert jobs() == []


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


@on_aws
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
