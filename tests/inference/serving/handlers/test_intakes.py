"""How each kind of handler says that it gets the records of a job."""

from __future__ import annotations

import json

import pytest

from inference.serving.codecs.media import CSV, JSON_LINES, PARQUET
from inference.serving.handlers import Intake, huggingface, torchserve
from inference.serving.handlers.sagemaker import intakes
from inference.serving.handlers.sagemaker.hugging import HUGGING_FACE
from inference.serving.handlers.sagemaker.toolkit import TOOLKIT
from inference.serving.handlers.torchserve import TorchServeHandler
from inference.serving.handlers.vertex import VertexHandler

INPUT = "def input_fn(body, kind):\n    assert kind == {kind!r}\n"
OUTPUT = "def output_fn(said, accept):\n    return accept == {kind!r}\n"
ENDPOINT_HANDLER = """
class EndpointHandler:
    def __init__(self, path): ...
    def __call__(self, data): return data[{given!r}]
"""
PREDICT = 'def predict_fn(data, model):\n    return "application/jsonlines"\n'


def intake(tmp_path, text: str, own=(), image=TOOLKIT) -> Intake:
    (tmp_path / "inference.py").write_text(text)
    return intakes.of(tmp_path / "inference.py", set(own), image)


def test_sagemaker_s_functions_get_tables_as_they_come_and_records_of_json_lines_one_by_one(tmp_path):
    found = intake(tmp_path, INPUT.format(kind="application/json") + PREDICT)
    assert found == Intake(whole={CSV: CSV, PARQUET: PARQUET}, accepts={CSV: CSV})
    assert found == intakes.PLAIN


@pytest.mark.parametrize("name", ["application/jsonlines", "application/x-ndjson"])
def test_an_entry_file_that_names_json_lines_gets_them_by_the_name_it_has(tmp_path, name):
    reads = intake(tmp_path, INPUT.format(kind=name) + PREDICT)
    assert (reads.whole[JSON_LINES], JSON_LINES in reads.accepts) == (name, False)
    both = intake(tmp_path, INPUT.format(kind=name) + OUTPUT.format(kind=name))
    assert (both.whole[JSON_LINES], both.accepts[JSON_LINES]) == (name, name)
    constant = intake(tmp_path, f"LINES = {name!r}\n" + INPUT.format(kind="application/json"))
    assert (constant.whole[JSON_LINES], constant.accepts[JSON_LINES]) == (name, name)


def test_one_that_only_writes_json_lines_does_not_get_them(tmp_path):
    found = intake(tmp_path, OUTPUT.format(kind=JSON_LINES))
    assert JSON_LINES not in found.whole and JSON_LINES not in found.accepts


def test_the_hugging_face_image_s_own_functions_take_no_csv_without_a_header(tmp_path):
    text = "def predict_fn(data, model): ...\n"
    found = intake(tmp_path, text, {"predict_fn"}, HUGGING_FACE)
    assert found == Intake(whole={PARQUET: PARQUET})
    found = intake(tmp_path, text, {"input_fn", "output_fn"}, HUGGING_FACE)
    assert found == intakes.PLAIN
    assert intake(tmp_path, text, {"transform_fn"}, HUGGING_FACE) == intakes.PLAIN


@pytest.mark.parametrize(
    ("given", "expected"), [("inputs", Intake("inputs")), ("instances", Intake("instances", listed=True))]
)
def test_an_endpoint_handler_gets_what_its_file_knows(interpreter, tmp_path, given, expected):
    interpreter()
    (tmp_path / "handler.py").write_text(ENDPOINT_HANDLER.format(given=given))
    assert huggingface.load(tmp_path).intake == expected


@pytest.mark.parametrize(
    ("envelope", "expected"), [("json", Intake("instances", listed=True)), ("", Intake())]
)
def test_a_torchserve_handler_gets_instances_in_its_envelope(
    interpreter, monkeypatch, tmp_path, envelope, expected
):
    interpreter()
    (tmp_path / "MAR-INF").mkdir()
    model = {"modelName": "m", "modelVersion": "1", "handler": "own.py:handle"}
    (tmp_path / "MAR-INF/MANIFEST.json").write_text(json.dumps({"model": model}))
    monkeypatch.setenv("TS_SERVICE_ENVELOPE", envelope)
    (tmp_path / "own.py").write_text("def handle(data, context):\n    return data\n")
    assert torchserve.load(tmp_path).intake == expected


def test_the_other_kinds():
    assert VertexHandler("", None).intake == Intake("instances", listed=True)
    assert TorchServeHandler("", None, lambda data, context: data).intake == Intake()
    assert huggingface.HuggingFaceHandler("", dict).intake == Intake("inputs")
