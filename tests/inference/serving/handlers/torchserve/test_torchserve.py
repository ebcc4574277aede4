"""How a TorchServe handler is started here, what is refused by name, and what its neighbours have of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inference.serving.errors import StartError
from inference.serving.handlers import Call, torchserve

JSON = "application/json"
PLAIN = """
class Echo:
    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        if any(row["body"] == "fail" for row in data):
            raise ValueError("one of them fails")
        return [[row["body"], len(data)] for row in data]
"""


@pytest.fixture
def load(interpreter: Callable[..., None], tmp_path: Path) -> Callable[..., torchserve.TorchServeHandler]:
    """Writes a model folder and loads it without torchserve; options begin with an underscore."""

    def written(files: dict[str, str | bytes], **options: object) -> torchserve.TorchServeHandler:
        interpreter("ts")
        for name, content in files.items():
            path = tmp_path / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return torchserve.load(tmp_path / "model", **options)

    return written


def body(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_requests_that_arrive_together_share_one_call(load) -> None:
    handler = load({"code/echo.py": PLAIN}, handler="echo.py")
    assert [body(one) for one in handler.answer_all([Call(b"a", "text/plain")] * 3)] == [["a", 3]] * 3
    assert handler.answer_all([]) == []


def test_one_of_several_classes_is_named(load) -> None:
    handler = load({"code/echo.py": PLAIN + "class Other: pass"}, handler="echo.py:Echo")
    assert body(handler.answer(Call(b"a", "text/plain"))) == ["a", 1]


def test_a_request_that_fails_takes_no_neighbour_with_it(load) -> None:
    handler = load({"code/echo.py": PLAIN}, handler="echo")
    calls = [Call(word, "text/plain") for word in (b"a", b"fail", b"b")]
    first, second, third = handler.answer_all(calls)
    assert (body(first), body(third)) == (["a", 1], ["b", 1])
    assert (second.status, json.loads(second.body)["message"]) == (503, "Prediction failed")
    assert str(second.failure) == "one of them fails"


TORCHSCRIPT = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@TORCHSCRIPT
def test_files_without_an_archive_are_found_in_one_folder_as_in_a_mar(load, tmp_path) -> None:
    handler = """
import os
from ts.torch_handler.base_handler import BaseHandler

class Summing(BaseHandler):
    def initialize(self, context):
        super().initialize(context)
        self.names = sorted(os.listdir(context.system_properties["model_dir"]))
        self.here = os.getcwd() == context.system_properties["model_dir"]

    def preprocess(self, data):
        return super().preprocess([row["body"] for row in data])

    def handle(self, data, context):
        return [[answer, self.names, self.here] for answer in super().handle(data, context)]
"""
    torch.jit.save(torch.jit.trace(torch.nn.Identity(), torch.ones(1)), tmp_path / "summing.pt")
    files = {"summing.pt": (tmp_path / "summing.pt").read_bytes(), "code/handler.py": handler}
    answer = load(files, handler="handler.py").answer(Call(b"[1.5]", JSON))
    assert body(answer) == [[1.5], ["handler.py", "summing.pt"], True]


@TORCHSCRIPT
def test_base_handler_itself_may_be_named(load, tmp_path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Identity(), torch.ones(1)), tmp_path / "m.pt")
    handler = load({"m.pt": (tmp_path / "m.pt").read_bytes()}, handler="base_handler")
    answer = handler.answer(Call(b"1", JSON))
    # It takes a request's row for a tensor, as TorchServe's does: only with an envelope is it of use.
    assert (answer.status, str(answer.failure)) == (503, "Could not infer dtype of dict")


def test_a_pickle_among_the_weights_is_not_run(load, tmp_path) -> None:
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "attacked",)

    torch.save({"weight": Attack()}, tmp_path / "m.pt")
    model = "import torch\nclass Model(torch.nn.Linear):\n    def __init__(self): super().__init__(1, 1)\n"
    files = {"m.pt": (tmp_path / "m.pt").read_bytes(), "code/model.py": model}
    with pytest.raises(StartError, match="BaseHandler.initialize raised UnpicklingError"):
        load(files, handler="base_handler")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("given", "rows", "answered"),
    [
        ([b'{"instances": [1, 2]}', b'{"instances": ["a"]}'], 3, [[1, 2], ["a"]]),
        (
            [b'{"instances": [{"b64": "YQ=="}, {"x": {"b64": "YQ=="}, "y": 1}]}'],
            2,
            [["a", {"x": "a", "y": 1}]],
        ),
    ],
)
def test_the_json_envelope_makes_rows_of_instances(load, given, rows, answered) -> None:
    echo = """
def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value.decode() if isinstance(value, bytes) else value

def handle(data, context):
    if data is None:
        return None
    context.metrics.add_counter("rows", len(data))
    return [plain(row) for row in data]
"""
    files = {"code/echo.py": echo, "code/config.properties": "# ours\nservice_envelope = json\n"}
    handler = load(files, handler="echo")
    answers = handler.answer_all([Call(one, JSON) for one in given])
    assert [body(one) for one in answers] == [{"predictions": one} for one in answered]
    assert list(handler.metrics.latest.values()) == [rows]
    assert handler.shape == "TorchServe handler echo in the json envelope"


def test_the_body_envelope_makes_rows_of_bodies(load, monkeypatch) -> None:
    monkeypatch.setenv("TS_SERVICE_ENVELOPE", "body")
    handler = load({"code/echo.py": "def handle(data, context): return data"}, handler="echo.py")
    assert body(handler.answer(Call(b'{"a": 1}', JSON))) == {"a": 1}


def test_what_a_model_config_asks_for_is_told(load) -> None:
    config = "batchSize: 8\nmaxBatchDelay: 100\nown: {words: [1]}\n"
    echo = "def handle(data, context): return data and [context.model_yaml_config, context.system_properties]"
    files = {"code/echo.py": echo, "code/model-config.yaml": config}
    handler = load(files, handler="echo")
    assert (handler.batch_size, handler.max_delay_ms) == (8, 100)
    told, properties = handler.handle([1, 2], handler.context)
    assert told["own"] == {"words": [1]}
    assert properties["batch_size"] == 8


def test_a_header_with_a_line_end_is_never_sent(load) -> None:
    echo = """
def handle(data, context):
    if data:
        context.set_response_header(0, "x-own", data[0]["body"])
        return [1]
"""
    handler = load({"code/echo.py": echo}, handler="echo")
    assert handler.answer(Call(b"one", "text/plain")).headers == {"x-own": "one"}
    split = handler.answer(Call(b"one\r\nset-cookie: a", "text/plain"))
    assert (split.status, split.headers) == (500, {})


def test_streaming_is_refused_by_name_in_the_request_that_asks_for_it(load) -> None:
    source = """
from ts.protocol.otf_message_handler import send_intermediate_predict_response

def handle(data, context):
    return data and send_intermediate_predict_response(["a"], context.request_ids, "", 200, context)
"""
    answer = load({"code/echo.py": source}, handler="echo").answer(Call(b"1", JSON))
    assert answer.status == 503
    assert "stream with Slipway's own handler" in str(answer.failure)


@pytest.mark.parametrize(
    ("files", "handler", "told"),
    [
        ({"code/w.war": ""}, "echo", "w.war: a workflow is not served here"),
        ({"a.mar": "", "b.mar": ""}, "", "a.mar, b.mar: which model is meant"),
        ({"a.mar": "x"}, "", "a.mar: is damaged or no zip"),
        ({"code/echo.py": PLAIN}, "", "no handler named"),
        ({"code/echo.py": PLAIN}, "image_classifier", "put torchserve torchvision captum into"),
        ({"code/echo.py": PLAIN}, "other", "No module named 'other'"),
        ({"code/echo.py": "x = ("}, "echo", "syntax error in echo.py line 1"),
        ({"code/echo.py": PLAIN + "class Other: pass"}, "echo", "the classes Echo, Other; expected"),
        ({"code/echo.py": "class Echo:\n    handle = 1"}, "echo", r"Echo has no initialize\(…\)"),
        ({"code/echo.py": "handle = 1"}, "echo", "raised TypeError"),
        (
            {"code/echo.py": "from ts.nothing import x"},
            "echo",
            "put torchserve into inference/requirements.txt",
        ),
        (
            {"code/echo.py": PLAIN.replace("self.context = context", "1 / 0")},
            "echo",
            "Echo.initialize raised ZeroDivisionError",
        ),
        ({"code/model-config.yaml": "sequenceBatching: true"}, "echo", "state between them cannot be served"),
        ({"code/model-config.yaml": "parallelType: pp"}, "echo", "one model over several processes"),
        ({"code/model-config.yaml": "[1"}, "echo", "model-config.yaml cannot be read"),
        ({"code/config.properties": "service_envelope=kserve"}, "echo", "'kserve' is not spoken here"),
        ({"MAR-INF/MANIFEST.json": "[]"}, "echo", "MANIFEST.json: TypeError"),
        ({"MAR-INF/MANIFEST.json": '{"model": 1}'}, "echo", 'MANIFEST.json: "model" is 1'),
    ],
)
def test_what_cannot_be_carried_or_started_is_said_by_name(load, files, handler, told) -> None:
    with pytest.raises(StartError, match=told):
        load(files, handler=handler)
