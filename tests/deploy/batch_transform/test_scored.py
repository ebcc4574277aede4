"""Files scored by `batch-transform`: what comes out of each kind, what is counted, what a bad row costs."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from clouds import stored

ROOT = Path(__file__).parents[3]


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
