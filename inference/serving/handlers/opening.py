"""The handler in a model's folder, whichever server it was written for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from inference.serving import log
from inference.serving.handlers import OldHandler, shapes, starting
from inference.serving.handlers.readings import Reading, Shape

_FOLDER = "inference.serving.handlers"
# Imported before the user's code: afterwards the kit is out of sight, and a handler may have such names.
_KINDS = {
    Shape.SAGEMAKER: "sagemaker",
    Shape.TORCHSCRIPT: "sagemaker",
    Shape.VERTEX: "vertex",
    Shape.VERTEX_HANDLER: "vertex",
    Shape.TORCHSERVE: "torchserve",
    Shape.ENDPOINT_HANDLER: "huggingface",
    Shape.PIPELINE: "huggingface",
}
_MODULES = {kind: import_module(f"{_FOLDER}.{kind}") for kind in sorted(set(_KINDS.values()))}


def load(model_dir: Path, env: Mapping[str, str]) -> OldHandler | None:
    """The loaded handler; None for one of our own shape, which loading.py loads. StartError as theirs."""
    entry = shapes.entry(model_dir, env)
    if entry.shape is Shape.SLIPWAY:
        return None
    handler = _loaded(model_dir, entry, env)
    log.event(f"{entry}: served as {handler.shape}")
    return handler


def _loaded(model_dir: Path, entry: Reading, env: Mapping[str, str]) -> OldHandler:
    module: Any = _MODULES[_KINDS[entry.shape]]
    named = f"{entry.file}:{entry.name}" if entry.name else entry.file
    loaded: OldHandler
    if entry.shape is Shape.SAGEMAKER:
        loaded = module.load(model_dir, starting.code_dir(model_dir) / entry.file)
    elif entry.shape is Shape.TORCHSCRIPT:
        loaded = module.load_bare(model_dir, entry.file)
    elif entry.shape is Shape.VERTEX:
        beside = shapes.companion(model_dir, entry, env)
        handler = f"{beside.file}:{beside.name}" if beside else ""
        loaded = module.load(model_dir, module.Entry(predictor=named, handler=handler))
    elif entry.shape is Shape.VERTEX_HANDLER:
        loaded = module.load(model_dir, module.Entry(handler=named))
    elif entry.shape is Shape.TORCHSERVE:
        loaded = module.load(model_dir, named if entry.line else "")
    else:
        loaded = module.load(model_dir)
    return loaded
