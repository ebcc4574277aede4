"""From the handler that a manifest names to what is called for it: a function, or one class's method."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError, shown
from inference.serving.handlers import starting
from inference.serving.handlers.torchserve.context import Context
from inference.serving.handlers.torchserve.envelopes import Handle
from inference.serving.handlers.torchserve.labels import list_classes_from_module

_BASE = "base_handler"
# TorchServe's own handlers that a manifest may name, and what they need.
_OWN = {
    "densenet_handler": "torchvision",
    "image_classifier": "torchvision captum",
    "image_segmenter": "torchvision captum",
    "object_detector": "torchvision captum",
    "text_classifier": "torchtext captum",
}


def started(handler: str, folder: Path, context: Context) -> Handle:
    """Import the handler, let it initialize, return what takes a batch. StartError carries its exception."""
    file, _, name = handler.partition(":")
    module = Path(file).name.removesuffix(".py")
    if not (folder / f"{module}.py").is_file() and (module == _BASE or module in _OWN):
        return _own(module, folder, context)
    loaded = starting.imported(module, folder)
    function = getattr(loaded, name or "handle", None)
    if isinstance(function, type):
        return _instance(function, handler, context)
    if function is not None:
        starting.called(f"{handler}: the call without requests", function, None, context)
        return _callable(function, handler)
    return _instance(_only(list_classes_from_module(loaded), handler), handler, context)


def _own(module: str, folder: Path, context: Context) -> Handle:
    if module != _BASE and importlib.util.find_spec(f"ts.torch_handler.{module}") is None:
        raise StartError(
            f"handler {shown(module)} is TorchServe's own: put torchserve {_OWN[module]} into "
            "inference/requirements.txt, or write a handler.py with it as a model"
        )
    loaded = starting.imported(f"ts.torch_handler.{module}", folder)
    found = loaded.BaseHandler if module == _BASE else _only(list_classes_from_module(loaded), module)
    return _instance(found, module, context)


def _only(classes: list[type], handler: str) -> type:
    if len(classes) != 1:
        names = ", ".join(found.__name__ for found in classes) or "none"
        raise StartError(
            f"{handler}: no function of that name or 'handle', and the classes {names}; expected such a "
            "function, or one class with initialize and handle"
        )
    return classes[0]


def _instance(found: type, handler: str, context: Context) -> Handle:
    made: Any = starting.called(f"{handler}: {found.__name__}()", found)
    for method in ("initialize", "handle"):
        if not callable(getattr(made, method, None)):
            raise StartError(f"{handler}: class {found.__name__} has no {method}(…); it is required")
    starting.called(f"{handler}: {found.__name__}.initialize", made.initialize, context)
    handle: Handle = made.handle
    return handle


def _callable(function: Any, handler: str) -> Handle:
    if not callable(function):
        raise StartError(f"{handler}: is {shown(function)}; expected a function of (data, context)")
    taken: Handle = function
    return taken
