"""What a batch prediction may leave, put back in order: real objects, named as the service names them."""

import base64
import io
import json
import random
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy import config
from deploy.batch.kinds import CSV, JSONLINES, PARQUET, Kind
from deploy.batch.orders import File, Order
from deploy.batch.places import Remote
from deploy.gcp import gathering, storage
from deploy.gcp.gathering import Left
from deploy.sections import Batch


@pytest.fixture
def settings(project) -> config.Config:
    return config.load(project("iris"))


@pytest.fixture
def place(cloud) -> Any:
    yield Remote("gs", cloud.bucket, "objects/")
    cloud.storage.remove(cloud.uri("objects/"))


@pytest.fixture
def gathered(cloud, settings, place):
    """Makes results of what the service left, by objects' names; returns why files have none."""

    def run(order: Order, left: dict[str, Any], *said: str) -> dict[str, str]:
        objects = []
        for name, lines in left.items():
            body = lines if isinstance(lines, str) else "".join(f"{json.dumps(line)}\n" for line in lines)
            cloud.storage.put(cloud.uri(f"objects/left/{name}"), body)
            objects.append(place / f"left/{name}")
        return gathering.gather(settings, order, Left(objects, said))

    return run


@pytest.fixture
def ordered(place):
    """A job on files of so many rows."""

    def make(rows: dict[str, int], kind: str = JSONLINES, columns: str = "", **said: Any) -> Order:
        files = tuple(File(name, 10, "", count) for name, count in rows.items())
        source, output = place / "in/", place / "out/"
        order = Order("0" * 12, "iris-a", Batch(**said), Kind(kind), columns, files, source, output)
        return replace(order, number=1, names=tuple(rows))

    return make


def out(cloud: Any) -> dict[str, str]:
    uri = cloud.uri("objects/out/")
    return {one[len(uri) :]: cloud.storage.get(one).decode() for one in cloud.storage.list(uri)}


def line(file: int, record: int, text: str | None = None) -> dict[str, Any]:
    text = f"{file}.{record}" if text is None else text
    return {"key": f"{file}:{record}", "prediction": text}


def whole(rows: dict[str, int]) -> dict[str, str]:
    return {
        f"{name}.out": "".join(f"{number}.{record}\n" for record in range(count))
        for number, (name, count) in enumerate(rows.items())
    }


def test_results_in_any_order_in_shards_and_twice_are_each_file_s_again(cloud, gathered, ordered):
    rows = {"a.jsonl": 300, "sub/b ?*.jsonl": 1, "c.jsonl": 77}
    lines = [line(number, record) for number, count in enumerate(rows.values()) for record in range(count)]
    again = [{**one, "prediction": "of a second try"} for one in random.Random(1).sample(lines, 50)]
    random.Random(0).shuffle(lines)
    shards = {f"prediction.results-{n:05}-of-00003": lines[n * 150 : (n + 1) * 150] for n in range(3)}
    assert gathered(ordered(rows), {**shards, "prediction.errors_stats-00000-of-00001": []}) == {}
    assert out(cloud) == whole(rows)
    # What comes later is of no account.
    assert gathered(ordered(rows), {**shards, "predictions_0009.jsonl": again}) == {}
    assert out(cloud) == whole(rows)


def test_a_file_that_lacks_an_answer_gets_no_result_and_a_reason_of_its_own(cloud, gathered, ordered):
    rows = dict.fromkeys(["a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"], 2)
    stats = repr(("Post request fails. Cannot get predictions. Error: Non-OK result 503", 4)) + "\n"
    why = gathered(
        ordered(rows),
        {
            "predictions_0001.jsonl": [line(0, 1), line(0, 0), line(1, 0), line(2, 1)],
            "errors_0001.jsonl": [{"key": "1:1", "error": {"code": 3, "message": "too warm"}}],
            "prediction.errors_stats-00000-of-00001": stats,
        },
    )
    assert out(cloud) == {"a.jsonl.out": "0.0\n0.1\n"}
    general = "Post request fails. Cannot get predictions. Error: Non-OK result 503"
    assert why == {
        "b.jsonl": "1 of 2 answers are missing: too warm",
        "c.jsonl": f"1 of 2 answers are missing: {general}",
        "d.jsonl": f"2 of 2 answers are missing: {general}",
    }


def test_what_the_job_itself_says_of_failures_comes_first_and_its_silence_is_told(cloud, gathered, ordered):
    one = ordered({"a.jsonl": 2})
    left = {"prediction.results-00000-of-00001": [line(0, 0)], "prediction.errors_stats-00000-of-00001": ""}
    assert gathered(one, left, "no quota") == {"a.jsonl": "1 of 2 answers are missing: no quota"}
    assert gathered(one, left) == {"a.jsonl": "1 of 2 answers are missing: the service says no reason"}


@pytest.mark.parametrize(
    "strange",
    [
        "no JSON\n",
        "[1, 2]\n",
        '"text"\n',
        '{"prediction": "1"}\n',
        '{"key": "a", "prediction": "1"}\n',
        '{"key": "9:0", "prediction": "1"}\n',
        '{"key": "0:2", "prediction": "1"}\n',
        '{"key": {"a": []}, "prediction": "1"}\n',
    ],
)
def test_a_line_of_no_record_of_the_job_is_no_answer(cloud, gathered, ordered, strange):
    order = ordered({"a.jsonl": 2})
    left = {"prediction.results-00000-of-00001": strange + "\n" + json.dumps(line(0, 0))}
    why = gathered(order, left)["a.jsonl"]
    assert why.startswith("1 of 2 answers are missing: ") and "no line of text" not in why
    left["prediction.results-00000-of-00001"] += "\n" + json.dumps(line(0, 1))
    assert gathered(order, left) == {}
    assert out(cloud) == {"a.jsonl.out": "0.0\n0.1\n"}


@pytest.mark.parametrize("prediction", [None, 1, "a\nb", {"a": 1}])
def test_an_answer_that_is_no_line_is_none(cloud, gathered, ordered, prediction):
    left = {"prediction.results-00000-of-00001": [{"key": "0:0", "prediction": prediction}]}
    assert gathered(ordered({"a.jsonl": 1}), left) == {
        "a.jsonl": f"an answer that is no line of text: {json.dumps(prediction)}"
    }
    assert out(cloud) == {}


def test_files_that_are_done_are_left_as_they_are(cloud, gathered, ordered):
    rows = {"a.jsonl": 1, "b.jsonl": 1}
    left = {"prediction.results-00000-of-00001": [line(0, 0), line(1, 0)]}
    assert gathered(replace(ordered(rows), names=("b.jsonl",)), left) == {}
    assert out(cloud) == {"b.jsonl.out": "1.0\n"}


@pytest.mark.parametrize("policy", ["fail", "keep"])
def test_a_row_that_failed_costs_its_file_alone_unless_it_is_kept(cloud, gathered, ordered, policy):
    rows, failure = {"a.jsonl": 2, "b.jsonl": 2}, '{"slipway_error":"preprocess: ValueError: bad"}'
    left = {"prediction.results-00000-of-00001": [line(0, 0), line(0, 1, failure), line(1, 0), line(1, 1)]}
    why = gathered(ordered(rows, on_error=policy), left)
    good = {"b.jsonl.out": "1.0\n1.1\n"}
    if policy == "fail":
        assert why == {"a.jsonl": "record 2: preprocess: ValueError: bad"}
        assert out(cloud) == good
    else:
        assert why == {}
        assert out(cloud) == good | {"a.jsonl.out": f"0.0\n{failure}\n"}


def test_a_header_that_was_answered_apart_from_good_rows_is_taken_from_another_file(cloud, gathered, ordered):
    joined = {"header": "strip", "join": "input", "on_error": "keep"}
    order = ordered({"a.csv": 2, "b.csv": 1, "c.csv": 1}, CSV, "x", **joined)
    lines = [
        line(0, 0, "x,prediction"),
        line(0, 1, "1,slipway_error,no"),
        line(0, 2, '2,"a, b",3'),
        line(1, 0, "x,low,high"),
        line(1, 1, "4,5,6"),
        line(2, 0, "x,prediction"),
        line(2, 1, "7,slipway_error,no"),
    ]
    assert gathered(order, {"prediction.results-00000-of-00001": lines}) == {}
    assert out(cloud) == {
        "a.csv.out": 'x,low,high\n1,slipway_error,no\n2,"a, b",3\n',
        "b.csv.out": "x,low,high\n4,5,6\n",
        "c.csv.out": "x,prediction\n7,slipway_error,no\n",
    }


def test_a_header_that_no_file_has_is_an_error(cloud, gathered, ordered):
    order = ordered({"a.csv": 1}, CSV, "x", header="strip", join="input")
    left = {"prediction.results-00000-of-00001": [line(0, 0, "x,prediction"), line(0, 1, "1,2,3")]}
    assert gathered(order, left)["a.csv"].startswith("its header came back for other columns")
    assert out(cloud) == {}


@pytest.mark.parametrize("told_by", ["uri", "content"])
def test_a_parquet_file_is_known_by_its_uri_or_its_content(cloud, gathered, ordered, told_by):
    bodies = {}
    for name, rows in {"a.parquet": [1], "b.parquet": [2, 3], "c.parquet": [2, 3]}.items():
        file = io.BytesIO()
        pq.write_table(pa.table({"x": rows}), file)
        bodies[name] = file.getvalue()
        cloud.storage.put(cloud.uri(f"objects/in/{name}"), bodies[name])
    lines: list[dict[str, Any]] = []
    for name, text in {"b.parquet": "4\n6\n", "a.parquet": "2\n", "c.parquet": "4\n6\n"}.items():
        encoded = {"b64": base64.b64encode(bodies[name]).decode()}
        instance = cloud.uri(f"objects/in/{name}") if told_by == "uri" else encoded
        lines.append({"instance": instance, "prediction": text})
    # Of two files with the same content one answer is enough.
    lines = lines if told_by == "uri" else lines[:2]
    order = ordered({"a.parquet": 1, "b.parquet": 2, "c.parquet": 2}, PARQUET)
    assert gathered(order, {"prediction.results-00000-of-00001": lines}) == {}
    assert out(cloud) == {"a.parquet.out": "2\n", "b.parquet.out": "4\n6\n", "c.parquet.out": "4\n6\n"}


@pytest.mark.parametrize("instance", ["gs://elsewhere/a.parquet", {"b64": "!"}, {"b64": "AA=="}, {}, None])
def test_a_parquet_file_of_somewhere_else_is_no_answer(cloud, gathered, ordered, instance):
    order = ordered({"a.parquet": 1}, PARQUET)
    left = {"prediction.results-00000-of-00001": [{"instance": instance, "prediction": "2\n"}]}
    assert set(gathered(order, left)) == {"a.parquet"}
    assert out(cloud) == {}


def test_a_gathering_that_was_cut_off_is_done_again(cloud, gathered, ordered, monkeypatch):
    rows = {"a.jsonl": 3, "b.jsonl": 2}
    left = {"prediction.results-00000-of-00001": [line(0, 2), line(1, 1), line(1, 0), line(0, 0), line(0, 1)]}
    written = storage.written

    def stopped(settings: Any, place: Remote) -> Any:
        if place.key.endswith("b.jsonl.out"):
            raise KeyboardInterrupt
        return written(settings, place)

    with monkeypatch.context() as cut:
        cut.setattr(storage, "written", stopped)
        with pytest.raises(KeyboardInterrupt):
            gathered(ordered(rows), left)
    assert set(out(cloud)) <= {"a.jsonl.out"}
    assert gathered(ordered(rows), left) == {}
    assert out(cloud) == whole(rows)
