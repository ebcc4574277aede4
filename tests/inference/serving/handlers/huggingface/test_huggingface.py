"""An EndpointHandler and a bare pipeline folder answer as in Hugging Face's toolkit, and start as there.

The toolkit is on no package index, so it is no oracle here: what it answers was read from its source and is
written down below.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.serving.errors import StartError
from inference.serving.handlers import Call, huggingface

JSON = "application/json"
HANDLER = """
import os
import words
import numpy

class EndpointHandler:
    def __init__(self, path=""):
        with open(os.path.join(path, "weights.txt")) as file:
            self.weights = file.read()
        self.names = sorted(os.listdir(path))

    def __call__(self, data):
        inputs = data.pop("inputs")
        parameters = data.pop("parameters", None)
        if parameters and "shout" in parameters:
            return words.shouted(inputs * parameters.pop("shout"))
        if inputs == "names":
            return self.names
        if inputs == "array":
            return {"found": numpy.arange(3.0)}
        if inputs == "set":
            return {1}
        if inputs == "raise":
            raise KeyError("weights")
        if inputs == "exit":
            raise SystemExit("over")
        if hasattr(inputs, "size"):
            return inputs if parameters is None else inputs.size
        if isinstance(inputs, bytes):
            return len(inputs)
        return [words.shouted(inputs), parameters, self.weights]
"""
FILES = {
    "weights.txt": "w",
    "code/handler.py": HANDLER,
    "code/words.py": "def shouted(text):\n    return str(text).upper()\n",
}
TRANSFORMERS = """
class Pipeline:
    def __init__(self, task, model, trust_remote_code):
        self.task = task
        self.made = [task, sorted(__import__("os").listdir(model)), trust_remote_code]

    def __call__(self, *inputs, **named):
        return [self.made, inputs, named]

pipeline = Pipeline
"""


@pytest.fixture
def load(interpreter: Callable[..., None], tmp_path: Path) -> Callable[..., huggingface.HuggingFaceHandler]:
    """Writes a model folder and loads it, without transformers."""

    def written(files: dict[str, str]) -> huggingface.HuggingFaceHandler:
        interpreter("transformers")
        for name, content in files.items():
            path = tmp_path / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return huggingface.load(tmp_path / "model")

    return written


@pytest.fixture
def handler(load) -> huggingface.HuggingFaceHandler:
    return load(FILES)


@pytest.fixture
def pipeline(interpreter, tmp_path, monkeypatch) -> Callable[..., huggingface.HuggingFaceHandler]:
    """Loads a folder without code, with a pipeline that says how it was made and called."""

    def loaded(config: str, **settings: str) -> huggingface.HuggingFaceHandler:
        interpreter()
        # The real one, if another test has loaded it; `interpreter` brings it back.
        for module in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
            del sys.modules[module]
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "model").mkdir()
        (tmp_path / "model/config.json").write_text(config)
        (tmp_path / "transformers.py").write_text(TRANSFORMERS)
        sys.path.insert(0, str(tmp_path))
        return huggingface.load(tmp_path / "model")

    return loaded


def asked(document: object) -> Call:
    return Call(json.dumps(document).encode(), JSON)


def body(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)


def picture() -> Image.Image:
    return Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))


def test_an_endpoint_handler_gets_the_json_object_and_its_folder(handler) -> None:
    answer = handler.answer(asked({"inputs": "é", "parameters": {"k": 1}}))
    assert (answer.status, answer.body, answer.content_type) == (200, '["É",{"k":1},"w"]'.encode(), JSON)
    assert body(handler.answer(asked({"inputs": "names"}))) == ["handler.py", "weights.txt", "words.py"]
    assert handler.shape == "Hugging Face EndpointHandler"


def test_numpy_is_written_as_json(handler) -> None:
    assert handler.answer(asked({"inputs": "array"})).body == b'{"found":[0.0,1.0,2.0]}'


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/PNG", "image/x-image"])
def test_a_picture_arrives_as_one_and_leaves_as_one(handler, kind) -> None:
    file = io.BytesIO()
    picture().save(file, format="PNG")
    answer = handler.answer(Call(file.getvalue(), kind, "image/png"))
    assert answer.content_type == "image/png"
    assert Image.open(io.BytesIO(answer.body)).tobytes() == picture().tobytes()
    within = base64.b64decode(body(handler.answer(Call(file.getvalue(), kind))))
    assert Image.open(io.BytesIO(within)).tobytes() == picture().tobytes()


def test_a_sound_arrives_as_its_bytes(handler) -> None:
    assert body(handler.answer(Call(b"\x00\xff" * 4, "audio/wav"))) == 8


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        (JSON, JSON),
        ("application/json; charset=UTF-8", "application/json; charset=UTF-8"),
        ("text/html, application/json;q=0.9", JSON),
    ],
)
def test_the_answer_is_json_where_that_is_accepted(handler, accept, content_type) -> None:
    answer = handler.answer(Call(b'{"inputs": 1}', JSON, accept))
    assert (answer.status, answer.content_type) == (200, content_type)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as in production
@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_picture_that_would_fill_the_memory_is_refused(handler, side) -> None:
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, format="PNG")
    assert len(file.getvalue()) < 100_000
    answer = handler.answer(Call(file.getvalue(), "image/png"))
    assert (answer.status, answer.failure) == (400, None)
    assert "pixels" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Call(b"[1", JSON), "unexpected end of data"),
        (Call(b"[1]", JSON), "Body needs to provide a inputs key, received: b'[1]'"),
        (Call(b'{"input": 1}', JSON), "Body needs to provide a inputs key, received: b'{\"input\":1}'"),
        (Call(b"a,b", "text/csv"), 'Content type "text/csv" not supported'),
        (Call(b"\x80\x04.", "application/x-pickle"), 'Content type "application/x-pickle" not supported'),
        (Call(b"a", ""), 'Content type "" not supported'),
        (Call(b"no picture", "image/png"), "cannot identify image file"),
        (Call(b'{"inputs": 1}', JSON, "text/csv"), 'Accept type "text/csv" not supported'),
        (Call(b'{"inputs": 1}', JSON, "image/png"), "Can only serialize PIL.Image.Image"),
        (Call(b'{"inputs": "set"}', JSON), "not JSON serializable: set"),
        (Call(b'{"inputs": "raise"}', JSON), "'weights'"),
        (Call(b'{"inputs": "exit"}', JSON), "over"),
    ],
)
def test_what_goes_wrong_is_400_with_its_reason(handler, call, told) -> None:
    answer = handler.answer(call)
    assert (answer.status, answer.content_type) == (400, JSON)
    assert told in json.loads(answer.body)["error"]


def test_only_what_the_handler_raised_is_for_the_log(handler) -> None:
    assert isinstance(handler.answer(asked({"inputs": "raise"})).failure, KeyError)
    assert handler.answer(Call(b"[1", JSON)).failure is None


def test_vertex_ais_instances_are_handled_one_by_one(handler) -> None:
    answer = handler.answer(asked({"instances": ["a", "b"], "parameters": {"k": 1}}))
    assert body(answer) == {"predictions": [["A", {"k": 1}, "w"], ["B", {"k": 1}, "w"]]}
    answer = handler.answer(asked({"instances": ["a", "b"], "parameters": {"shout": 2}}))
    assert body(answer) == {"predictions": ["AA", "BB"]}


def test_a_handler_that_knows_instances_gets_them_as_they_are(load) -> None:
    source = """
class EndpointHandler:
    def __init__(self, path): ...
    def __call__(self, data):
        return {"predictions": [len(data["instances"])]}
"""
    ours = load({"handler.py": source})
    assert body(ours.answer(asked({"instances": [1, 2, 3]}))) == {"predictions": [3]}
    assert ours.shape.endswith("that takes instances itself")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"weights.txt": ""}, "has neither handler.py nor config.json"),
        ({"handler.py": "class Other: ..."}, "handler.py: has no class EndpointHandler"),
        ({"handler.py": "class EndpointHandler: ..."}, r"EndpointHandler\(path\) raised TypeError"),
        (
            {"handler.py": "class EndpointHandler:\n    def __init__(self, path): ..."},
            "class EndpointHandler has no __call__",
        ),
        ({"handler.py": "import nothing_like_it"}, "No module named 'nothing_like_it'"),
        ({"handler.py": "x = ("}, "syntax error in handler.py line 1"),
        ({"config.json": "{}"}, "no architecture in it"),
        (
            {"config.json": '{"architectures": ["Odd"]}'},
            "what 'Odd' is for is not known; name the task in HF_TASK",
        ),
        ({"config.json": '{"architectures": ["BertForMaskedLM"]}'}, "put transformers into inference/req"),
    ],
)
def test_what_cannot_start_says_why(load, files, told) -> None:
    with pytest.raises(StartError, match=told):
        load(files)


def test_a_bare_folder_is_a_pipeline_of_its_architectures_task(pipeline) -> None:
    ours = pipeline('{"architectures": ["DistilBertForSequenceClassification"]}')
    made, inputs, named = body(ours.answer(asked({"inputs": "one", "parameters": {"top_k": 2}})))
    assert made == ["text-classification", ["config.json"], False]
    assert (inputs, named) == (["one"], {"top_k": 2})
    assert len(body(ours.answer(asked({"instances": ["a", "b"]})))["predictions"]) == 2


@pytest.mark.parametrize(
    ("task", "document", "called"),
    [
        (
            "question-answering",
            {"inputs": {"question": "q", "context": "c"}},
            [[], {"question": "q", "context": "c"}],
        ),
        (
            "table-question-answering",
            {"inputs": {"question": "q", "table": {}}},
            [[], {"query": "q", "table": {}}],
        ),
        (
            "zero-shot-classification",
            {"inputs": "t", "parameters": {"candidateLabels": ["a"]}},
            [[], {"sequences": "t", "candidate_labels": ["a"]}],
        ),
        (
            "text-generation",
            {"inputs": "t", "parameters": {"generation_parameters": {"max_new_tokens": 3}}},
            [["t"], {"max_new_tokens": 3}],
        ),
        (
            "automatic-speech-recognition",
            {"inputs": "t", "parameters": {"generation_parameters": {"max_new_tokens": 3}}},
            [["t"], {"generate_kwargs": {"max_new_tokens": 3}}],
        ),
    ],
)
def test_a_pipeline_is_called_in_its_tasks_words(pipeline, task, document, called) -> None:
    made, *seen = body(pipeline("{}", HF_TASK=task).answer(asked(document)))
    assert (made[0], seen) == (task, called)


def test_code_that_comes_with_a_model_is_run_only_where_that_is_said(pipeline) -> None:
    made = body(pipeline("{}", HF_TASK="fill-mask", HF_TRUST_REMOTE_CODE="1").answer(asked({"inputs": "t"})))[
        0
    ]
    assert made[2] is True
