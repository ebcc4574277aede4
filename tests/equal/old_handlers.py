"""Handlers of four other servers, and files of records with the lines that their own answers come to."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from subjects import HEADED, JSON_LINES, PARQUET

SAGEMAKER = """\
import json, os

def model_fn(model_dir):
    with open(os.path.join(model_dir, "weights.json")) as file:
        return json.load(file)["factor"]

def input_fn(body, content_type):
    if content_type == "text/csv":
        return [[float(cell) for cell in line.split(",")] for line in body.splitlines()]
    if content_type == "application/json":
        return json.loads(body)
    raise ValueError("no " + content_type)

def predict_fn(data, factor):
    if data == "bad":
        raise RuntimeError("no such record")
    rows = data if data and isinstance(data[0], list) else [data]
    return [factor * sum(row) for row in rows]

def output_fn(sums, accept):
    if accept == "text/csv":
        return "".join(f"{one}\\n" for one in sums), accept
    return json.dumps({"sums": sums}), accept
"""
PREDICTOR = """\
import json

from google.cloud.aiplatform.prediction.predictor import Predictor
from google.cloud.aiplatform.utils import prediction_utils


class Multiplier(Predictor):
    def load(self, artifacts_uri):
        prediction_utils.download_model_artifacts(artifacts_uri)
        with open("weights.json") as file:
            self.factor = json.load(file)["factor"]

    def predict(self, instances):
        return [self.one(each) for each in instances["instances"]]

    def one(self, each):
        values = list(each.values()) if isinstance(each, dict) else each
        if "bad" in values:
            raise ValueError("no such record")
        return {"sum": self.factor * sum(values), "of": each}

    def postprocess(self, predictions):
        return {"predictions": predictions}
"""
TORCHSERVE = """\
import json, os


class Summer:
    initialized = False

    def initialize(self, context):
        with open(os.path.join(context.system_properties["model_dir"], "weights.json")) as file:
            self.factor = json.load(file)["factor"]
        self.initialized = True

    def handle(self, data, context):
        rows = [row["body"] for row in data]
        if "bad" in rows:
            raise ValueError("no such record")
        return [{"sum": self.factor * sum(values(row))} for row in rows]


def values(row):
    return row.values() if isinstance(row, dict) else row
"""
HUGGING = """\
import json, os
from typing import Any


class EndpointHandler:
    def __init__(self, path=""):
        with open(os.path.join(path, "weights.json")) as file:
            self.factor = json.load(file)["factor"]

    def __call__(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        given = data["inputs"]
        if given == "bad":
            raise ValueError("no such record")
        values = list(given.values()) if isinstance(given, dict) else given
        return [{"label": "sum", "score": self.factor * sum(values)}]
"""
FAILED = "slipway_error"


@dataclass(frozen=True)
class Old:
    """A handler's file, and of each file of records the lines of its answer; None is a failure's."""

    file: str
    text: str
    samples: str
    lines: dict[str, list[str | None]]


def parquet(*rows: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


BODIES = {
    JSON_LINES: b'[1, 2]\n"bad"\n\n[3.50]\n',
    HEADED: b"a,b\n1,2\n3,4\n",
    PARQUET: parquet({"a": 1, "b": 2}, {"a": 3, "b": 4}),
}
ALL = {
    "sagemaker": Old(
        "inference.py",
        SAGEMAKER,
        "[1, 2]\n",
        {
            JSON_LINES: ['{"sums": [9]}', None, '{"sums": [10.5]}'],
            HEADED: ["9.0", "21.0"],
        },
    ),
    "vertex": Old(
        "predictor.py",
        PREDICTOR,
        '{"instances": [[1, 2]]}\n',
        {
            JSON_LINES: ['{"sum": 9, "of": [1, 2]}', None, '{"sum": 10.5, "of": [3.5]}'],
            PARQUET: ['{"sum": 9, "of": {"a": 1, "b": 2}}', '{"sum": 21, "of": {"a": 3, "b": 4}}'],
        },
    ),
    "torchserve": Old(
        "summer.py",
        TORCHSERVE,
        "[1, 2]\n",
        {JSON_LINES: ['{"sum":9}', None, '{"sum":10.5}']},
    ),
    "hugging": Old(
        "handler.py",
        HUGGING,
        '{"inputs": [1, 2]}\n',
        {JSON_LINES: ['[{"label":"sum","score":9}]', None, '[{"label":"sum","score":10.5}]']},
    ),
}


def is_as_expected(line: str, expected: str | None) -> bool:
    """Whether it is this line, or, where none is expected, the failure's."""
    if expected is not None:
        return line == expected
    said = json.loads(line)
    return list(said) == [FAILED] and "no such record" in said[FAILED]
