"""The command on real files: what comes out, what is counted, what a bad record costs."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
from pathlib import Path

import orjson
import pyarrow
import pyarrow.parquet
import pytest

ROWS = [{"x": n} for n in range(20_000)]
DOUBLED = [{"double": 2 * n} for n in range(20_000)]
CSV_ROWS = "".join(f"{n},text\n" for n in range(20_000))


def as_parquet(rows) -> bytes:
    sink = io.BytesIO()
    table = pyarrow.Table.from_pylist(rows) if rows else pyarrow.table({"x": pyarrow.array([], "int64")})
    pyarrow.parquet.write_table(table, sink, row_group_size=3000)
    return sink.getvalue()


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz", "a.parquet"])
def test_rows_come_back_in_their_order_whatever_the_file(batch, name):
    lines = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)
    content = as_parquet(ROWS) if "parquet" in name else gzip.compress(lines) if "gz" in name else lines
    batch.put(name, content)
    done = batch.run()
    assert done.returncode == 0, done.stderr
    assert batch.out(name) == DOUBLED
    assert "rows in 20,000, rows out 20,000, rows failed 0" in done.stdout
    assert batch.files() == [".slipway-batch.json", f"{name}.out"]


@pytest.mark.parametrize("packed", [False, True])
def test_csv_rows_are_lists_without_a_header_and_objects_with_one(batch, packed):
    name = "a.csv.gz" if packed else "a.csv"
    write = gzip.compress if packed else bytes
    expected = "".join(f"{2 * n}\n" for n in range(20_000))
    batch.put(name, write(CSV_ROWS.encode()))
    assert batch.run().returncode == 0
    assert (batch.output / f"{name}.out").read_text() == expected
    batch.put(name, write(b"\xef\xbb\xbfy,x\r\n" + b"".join(b"text,%d\r\n" % n for n in range(20_000))))
    done = batch.run("--header", "strip")
    assert done.returncode == 0, done.stderr
    assert (batch.output / f"{name}.out").read_text() == expected
    assert "rows in 20,000, rows out 20,000" in done.stdout


def test_a_folder_keeps_its_names_and_leaves_out_what_is_hidden(batch):
    batch.put("b.jsonl", [1])
    batch.put("deep/er/a.jsonl", [2, 3])
    batch.put("_SUCCESS", "")
    batch.put(".a.jsonl.crc", "")
    done = batch.run()
    assert batch.files() == [".slipway-batch.json", "b.jsonl.out", "deep/er/a.jsonl.out"]
    assert batch.out("deep/er/a.jsonl") == [{"double": 4}, {"double": 6}]
    assert "files 2: 2 scored\nrows in 3, rows out 3, rows failed 0\n" in done.stdout


def test_a_single_file_is_an_input_too(batch):
    path = batch.put("a.jsonl", [1])
    batch.put("b.csv", "1")
    assert batch.run(source=path).returncode == 0
    assert batch.out("a.jsonl") == [{"double": 2}]


def test_blank_lines_are_no_records_and_count_as_lines(batch):
    batch.put("a.jsonl", '1\n\n \t\r\n2\r\n"refuse"\n\n3')
    done = batch.run("--on-error", "keep")
    assert batch.out("a.jsonl")[:2] == [{"double": 2}, {"double": 4}]
    assert batch.errors("a.jsonl") == [{"line": 5, "reason": batch.out("a.jsonl")[2]["slipway_error"]}]
    assert "rows in 4, rows out 4, rows failed 1" in done.stdout


def test_a_record_that_fails_costs_its_file_and_no_other(batch):
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", [*range(15_000), "refuse", 2])
    batch.put("c.jsonl", [3])
    done = batch.run()
    assert done.returncode == 1
    assert batch.files() == [".slipway-batch.json", "a.jsonl.out", "c.jsonl.out"]
    assert f"failed: {batch.source}/b.jsonl line 15001: preprocess: ValueError: no instance" in done.stdout
    assert "files 3: 2 scored, 1 failed\nrows in 2, rows out 2, rows failed 0\n" in done.stdout


def test_a_record_that_fails_is_answered_with_its_error_where_errors_are_kept(batch):
    records = [*range(12_000), "refuse", 5, "crash", "drop", 6]
    batch.put("a.jsonl", b"".join(orjson.dumps(one) + b"\n" for one in records) + b"{nope\n")
    done = batch.run("--on-error", "keep")
    assert done.returncode == 0, done.stderr
    out = batch.out("a.jsonl")
    assert len(out) == len(records) + 1
    assert [out[place] for place in (0, 11_999, 12_001, 12_004)] == [
        {"double": value} for value in (0, 23_998, 10, 12)
    ]
    errors = batch.errors("a.jsonl")
    assert [error["line"] for error in errors] == [12_001, 12_003, 12_004, 12_006]
    assert [error["reason"] for error in errors] == [
        out[place]["slipway_error"] for place in (12_000, 12_002, 12_003, 12_005)
    ]
    assert "the model broke" in errors[1]["reason"]
    assert f"{batch.output}/a.jsonl.errors.jsonl: rows failed 4" in done.stdout


def test_parquet_errors_are_named_by_their_row(batch):
    # The blank lines in its texts are none of the file's.
    batch.put("a.parquet", as_parquet([{"x": "a\n\nb"}] * 9000 + [{"x": "refuse"}, {"x": "word"}]))
    assert batch.run("--on-error", "keep").returncode == 0
    assert [error["line"] for error in batch.errors("a.parquet")] == [9001]
    assert "row 9001" in batch.run("--on-error", "fail").stdout


def test_a_stale_list_of_errors_goes_when_there_are_none(batch):
    batch.put("a.jsonl", [1, "refuse"])
    batch.run("--on-error", "keep")
    assert "a.jsonl.errors.jsonl" in batch.files()
    batch.put("a.jsonl", [1, 2, 3])
    batch.run("--on-error", "keep")
    assert batch.files() == [".slipway-batch.json", "a.jsonl.out"]


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.jsonl", '{"x": 1.0}\n5\n', (), ['{"x": 1.0,"SageMakerOutput":{"text":"1.0"}}',
         '{"SageMakerInput":5,"SageMakerOutput":{"double":10}}']),
        ("a.jsonl", '{"x": "refuse"}\n{no\n', ("--on-error", "keep"), ['{"x": "refuse","SageMakerOutput":'
         '{"slipway_error":"preprocess: ValueError: no instance like this"}}', None]),
        ("a.csv", '1,a\r\n2,"b,c"\r\n', (), ["1,a,2", '2,"b,c",4']),
        ("a.csv", "\ufeffx,y\n1,a\n\n2,b\n", ("--header", "strip"), ["x,y,double", "1,a,2", "2,b,4"]),
        ("a.parquet", None, (), ['{"x":1,"y":"a","SageMakerOutput":{"double":2}}']),
    ],
)  # fmt: skip
def test_input_and_output_are_joined(batch, name, content, options, expected):
    batch.put(name, as_parquet([{"x": 1, "y": "a"}]) if content is None else content)
    done = batch.run("--join", "input", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (batch.output / f"{name}.out").read_text().splitlines()
    assert len(lines) == len(expected)
    assert [line for line, wanted in zip(lines, expected, strict=True) if wanted not in (None, line)] == []


def test_a_parquet_row_that_json_cannot_hold_is_joined_with_its_error(batch):
    batch.put("a.parquet", as_parquet([{"x": 1.5}, {"x": float("nan")}]))
    done = batch.run("--join", "input", "--on-error", "keep")
    assert done.returncode == 0, done.stdout
    first, second = batch.out("a.parquet")
    assert first == {"x": 1.5, "SageMakerOutput": {"text": "1.5"}}
    assert second["SageMakerInput"] is None
    assert "NaN" in second["SageMakerOutput"]["slipway_error"]


def test_a_handler_that_leaves_the_working_directory_is_no_trouble(batch):
    batch.put("a.jsonl", [1])
    batch.handler(
        "import os\n"
        "class Handler:\n"
        "    def load(self, model_dir): os.chdir('/'); self.found = os.listdir(model_dir)\n"
        "    def predict(self, inputs): return [self.found for one in inputs]\n"
    )
    done = batch.run("--model", "model", source=Path("in"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert batch.out("a.jsonl") == [["code"]]


def test_the_answers_form_can_be_chosen(batch):
    batch.put("a.jsonl", [1, 2])
    assert batch.run("--accept", "text/csv").returncode == 0
    assert (batch.output / "a.jsonl.out").read_text() == "2\n4\n"


def test_an_answer_that_would_take_two_lines_fails_its_file(batch):
    batch.put("a.csv", 'x\n"y"\n')
    batch.handler(
        "class Handler:\n"
        "    def load(self, model_dir): pass\n"
        "    def predict(self, inputs): return ['a\\nb' for one in inputs]\n"
    )
    done = batch.run()
    assert done.returncode == 1
    assert f"failed: {batch.source}/a.csv line 1: " in done.stdout
    assert batch.files() == []


@pytest.mark.parametrize(
    ("name", "content", "options", "reason"),
    [
        ("a.jsonl", b"1\n" * 9000 + b'"\xe9"\n', ("--on-error", "keep"), "line 9001: byte 0xe9 is not UTF-8"),
        ("a.csv", b'1,a\n2,"b\nc"\n', (), 'line 2: an odd number of "'),
        ("a.jsonl", b"1\n\n" + b"7" * 6_400_000 + b"\n", (), "line 3: a record of 6,400,000 bytes"),
        ("a.parquet", as_parquet([]), (), "it holds no record"),
        ("a.jsonl.gz", gzip.compress(b"1\n" * 9000)[:-10], (), "end-of-stream"),
        ("a.parquet", b"PAR1" + b"x" * 100 + b"PAR1", (), "no Parquet file"),
    ],
)
def test_what_cannot_be_sent_fails_its_file_by_line(batch, name, content, options, reason):
    batch.put(name, content)
    done = batch.run(*options)
    assert done.returncode == 1
    assert reason in done.stdout
    assert f"failed: {batch.source}/{name}" in done.stdout
    assert batch.files() == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_handler_that_drops_a_row_fails_the_file(batch, name):
    batch.put(name, "1\n" * 3000 + ('"drop"' if name == "a.jsonl" else "drop") + "\n2\n")
    done = batch.run()
    assert done.returncode == 1
    assert (
        f"failed: {batch.source}/{name} line 3001: predict returned 0 predictions for 1 instances"
        in done.stdout
    )
    assert batch.files() == []


def test_a_file_with_nothing_but_its_header_has_an_answer_with_nothing_in_it(batch):
    batch.put("a.csv", "x,y\n")
    done = batch.run("--header", "strip")
    assert done.returncode == 0
    assert "rows in 0, rows out 0" in done.stdout
    assert (batch.output / "a.csv.out").read_bytes() == b""


def test_what_the_handler_prints_is_no_part_of_the_report(batch):
    batch.put("a.jsonl", [1])
    batch.handler(
        "class Handler:\n"
        "    def load(self, model_dir): print('loading')\n"
        "    def predict(self, inputs): print('scoring'); return inputs\n"
    )
    done = batch.run()
    assert done.stdout.startswith("files 1: 1 scored\n")
    assert "loading\n" in done.stderr
    assert "scoring\n" in done.stderr


def test_a_handler_that_does_not_load_ends_the_run_with_its_traceback(batch):
    batch.put("a.jsonl", [1])
    batch.handler(
        "class Handler:\n    def load(self, model_dir): 1 / 0\n    def predict(self, inputs): ...\n"
    )
    done = batch.run()
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "the model could not be loaded" in done.stderr.splitlines()[-1]
    assert batch.files() == []


def test_the_kit_is_out_of_the_handlers_sight(batch):
    batch.put("a.jsonl", [1])
    batch.handler(
        "class Handler:\n"
        "    def load(self, model_dir): import deploy\n"
        "    def predict(self, inputs): return inputs\n"
    )
    done = batch.run()
    assert "No module named 'deploy'" in done.stderr
    assert done.returncode == 1


def test_a_file_that_is_changed_while_it_is_scored_fails(batch, until):
    batch.handler(
        "import os, time\n"
        "class Handler:\n"
        "    def load(self, model_dir): self.go = os.path.join(os.path.dirname(model_dir), 'go')\n"
        "    def predict(self, inputs):\n"
        "        open(self.go + '-on', 'w').close()\n"
        "        while not os.path.exists(self.go): time.sleep(0.01)\n"
        "        return inputs\n"
    )
    path = batch.put("a.jsonl", [1, 2])
    running = batch.start()
    until((batch.folder / "go-on").exists)
    with path.open("a") as file:
        file.write("3\n")
    (batch.folder / "go").touch()
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "it was changed while it was scored" in said
    assert batch.files() == []


def test_an_answer_for_which_there_is_no_room_costs_its_file_and_no_other(batch):
    batch.put("a.jsonl", [1])
    batch.put("b.jsonl", range(20_000))
    batch.put("c.jsonl", [3])
    little_room = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *batch.command()]
    done = subprocess.run(little_room, **batch.settings(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    reason = f"its answers cannot be written: File too large ({batch.output})"
    assert f"failed: {batch.source}/b.jsonl: {reason}" in done.stdout
    assert batch.files() == [".slipway-batch.json", "a.jsonl.out", "c.jsonl.out"]


def test_the_last_line_of_the_log_tells_a_terminal_nothing_it_would_obey(batch):
    batch.put("a.jsonl", json.dumps("crash") + "\n")
    batch.handler(
        "class Handler:\n"
        "    def load(self, model_dir): pass\n"
        "    def predict(self, inputs): raise ValueError('\\x1b[2J\\nslipway: all is well')\n"
    )
    done = batch.run()
    assert "\x1b" not in done.stderr + done.stdout
    assert "slipway: all is well" not in done.stdout.splitlines()
