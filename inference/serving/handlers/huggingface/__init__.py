"""A Hugging Face model, unchanged: handler.py with an EndpointHandler, or a folder with config.json alone.

It answers as Hugging Face's inference toolkit does, where whatever goes wrong is 400 with {"error": …}. A
request of Vertex AI's, {"instances": [...]}, is answered {"predictions": [...]} by calling the handler for
each instance, unless its file knows the word "instances" itself.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inference.serving.errors import StartError
from inference.serving.handlers import Answer, Call, Intake, one_by_one, starting
from inference.serving.handlers.huggingface import bodies, pipelines
from inference.serving.predictor import describe

_MODULE, _CLASS = "handler", "EndpointHandler"
_INSTANCES = "instances"


@dataclass(frozen=True)
class HuggingFaceHandler:
    """A loaded EndpointHandler or pipeline; requests are answered one by one, as in the toolkit."""

    shape: str
    _handle: Callable[[dict[str, Any]], Any]
    intake: Intake = Intake("inputs")

    def answer(self, call: Call) -> Answer:
        try:
            value = self._handle(bodies.decoded(call.body, call.content_type))
            body, content_type = bodies.encoded(value, call.accept)
            return Answer(200, body, content_type)
        except (bodies.Refused, orjson.JSONDecodeError) as error:
            return _failed(str(error), None)
        except BaseException as error:  # sys.exit() in a handler fails its request, not the server
            return _failed(str(error), error)

    def answer_all(self, calls: Sequence[Call]) -> list[Answer]:
        return one_by_one(self, calls)


def load(model_dir: Path) -> HuggingFaceHandler:
    """The EndpointHandler of handler.py, or else the pipeline of config.json. StartError says what is wrong.

    The handler gets a folder that holds the model and its own files, as they lie together in a repository.
    """
    code = starting.code_dir(model_dir)
    if (code / f"{_MODULE}.py").is_file():
        return _custom(code / f"{_MODULE}.py", starting.one_folder(model_dir))
    if not (model_dir / "config.json").is_file():
        raise StartError(f"{model_dir} has neither handler.py nor config.json; expected one of them")
    handle = pipelines.load(model_dir, os.environ)
    return HuggingFaceHandler("Hugging Face pipeline", _each_instance(handle))


def _custom(file: Path, folder: Path) -> HuggingFaceHandler:
    module = starting.imported(_MODULE, file.parent, folder)
    found = getattr(module, _CLASS, None)
    if not isinstance(found, type):
        raise StartError(
            f"{file.name}: has no class {_CLASS}; expected one with __init__(path) and __call__(data)"
        )
    made = starting.called(f"{file.name}: {_CLASS}(path)", found, str(folder))
    if not callable(made):
        raise StartError(f"{file.name}: class {_CLASS} has no __call__; expected __call__(data)")
    if _knows_instances(file):
        own = Intake(_INSTANCES, listed=True)
        return HuggingFaceHandler(f"Hugging Face {_CLASS} that takes {_INSTANCES} itself", made, own)
    return HuggingFaceHandler(f"Hugging Face {_CLASS}", _each_instance(made))


def _knows_instances(file: Path) -> bool:
    """Whether the handler's file has the word as a text of its own, as data["instances"] does."""
    nodes = ast.walk(ast.parse(file.read_bytes()))
    return any(isinstance(node, ast.Constant) and node.value == _INSTANCES for node in nodes)


def _each_instance(handle: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def answered(data: dict[str, Any]) -> Any:
        if "inputs" in data:
            return handle(data)
        shared = {name: value for name, value in data.items() if name != _INSTANCES}
        # Each call gets parameters of its own: handlers take them out of what they are given.
        alone = [{"inputs": one, **orjson.loads(orjson.dumps(shared))} for one in data[_INSTANCES]]
        return {"predictions": [handle(one) for one in alone]}

    return answered


def _failed(text: str, error: BaseException | None) -> Answer:
    try:
        body = orjson.dumps({"error": text})
    except TypeError:  # text that is no UTF-8
        body = orjson.dumps({"error": describe(error or ValueError()).encode("ascii", "replace").decode()})
    return Answer(400, body, bodies.JSON, failure=error)
