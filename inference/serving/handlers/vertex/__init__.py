"""A Vertex AI custom prediction routine, unchanged: a Predictor, a Handler over it, or a Handler alone.

The user's files import google.cloud.aiplatform; where that is not installed, ours stands in for the part of
it that serves. The handler starts as in Google's container: a working folder of its own that holds its code,
and into which the predictor fetches the model's files.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from inference.serving.errors import StartError, shown
from inference.serving.handlers import Answer, Call, Intake, one_by_one, standins, starting
from inference.serving.handlers.vertex import sdk, web
from inference.serving.handlers.vertex.asgi import Loops

_HANDLERS = "google.cloud.aiplatform.prediction.handler"
_PREDICTORS = "google.cloud.aiplatform.prediction.predictor"


@dataclass(frozen=True)
class Entry:
    """Which classes serve, each as "file.py:Class", or "file.py" where it holds one of that kind alone.

    They are CPR's PREDICTOR_MODULE, PREDICTOR_CLASS, HANDLER_MODULE and HANDLER_CLASS. Without a handler it
    is PredictionHandler; a handler of one's own may do without a predictor. A packaged predictor is named by
    its whole path: "google.cloud.aiplatform.prediction.sklearn.predictor:SklearnPredictor".
    """

    predictor: str = ""
    handler: str = ""


@dataclass(frozen=True)
class VertexHandler:
    """A loaded routine; its requests are answered one by one, as in Google's server."""

    shape: str
    _handler: Any
    _loops: Loops = field(default_factory=Loops)
    # Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions, on how input is sent.
    intake: Intake = Intake("instances", listed=True)

    def answer(self, call: Call) -> Answer:
        return self._loops.run(self._handler, call)

    def answer_all(self, calls: Sequence[Call]) -> list[Answer]:
        return one_by_one(self, calls)


def load(model_dir: Path, entry: Entry) -> VertexHandler:
    """Import the classes, make the handler, which loads the model. StartError carries what was raised.

    This process's working folder changes: files are found by relative names, as in Google's container.
    """
    _stand_in()
    standins.offer("fastapi", web.MODULES)
    _enter_folder(model_dir)
    code = starting.code_dir(model_dir)
    predictor = _class(entry.predictor, _base(_PREDICTORS, "Predictor"), code) if entry.predictor else None
    default = f"{_HANDLERS}:PredictionHandler"
    handler = _class(entry.handler or default, _base(_HANDLERS, "Handler"), code)
    made = starting.called(_named(entry), lambda: handler(str(model_dir), predictor=predictor))
    if not callable(getattr(made, "handle", None)):
        raise StartError(f"{_named(entry)}: class {handler.__name__} has no handle; expected handle(request)")
    return VertexHandler(f"Vertex AI {_named(entry)}", made)


def _stand_in() -> None:
    """Offer our part of Google's SDK; its own fails without what the extra [prediction] installs."""
    package = "google-cloud-aiplatform[prediction]"
    whole = all(importlib.util.find_spec(name) for name in ("fastapi", "docker"))
    stand_in = standins.offer if whole else standins.hide
    stand_in(package, sdk.MODULES)


def _enter_folder(model_dir: Path) -> None:
    folder = starting.temporary_folder()
    code = starting.code_dir(model_dir)
    if code != model_dir:
        # Copies: a predictor may write over them what it downloads.
        shutil.copytree(code, folder, dirs_exist_ok=True)
    os.chdir(folder)


def _named(entry: Entry) -> str:
    parts = [f"Predictor {entry.predictor}"] if entry.predictor else []
    return " with ".join([*parts, *([f"Handler {entry.handler}"] if entry.handler else [])])


def _base(module: str, name: str) -> Any:
    return getattr(starting.imported(module), name)


def _class(named: str, base: Any, code: Path) -> Any:
    module, _, name = named.partition(":")
    module = module.removesuffix(".py").replace("/", ".")
    loaded = starting.imported(module, code)
    if not name:
        return _only(loaded, base)
    found = getattr(loaded, name, None)
    if not isinstance(found, type):
        raise StartError(f"{module} has no class {shown(name)}; expected a {base.__name__}")
    return found


def _only(module: ModuleType, base: Any) -> Any:
    own = [
        found
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, base) and found.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(found.__name__ for found in own) or "none"
        raise StartError(
            f"{module.__name__}: {base.__name__} classes: {names}; expected one, or its name as "
            f'"{module.__name__}:Class"'
        )
    return own[0]
