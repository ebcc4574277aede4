"""From <model_dir>/code/handler.py to a Predictor, or a StartError that says which part is wrong.

code/ comes first on sys.path, so the handler's sibling modules import. The handler gets its directory and its
instances; nothing is read from it but load, preprocess, predict, postprocess and length.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_origin

from inference.serving.codecs import inputs
from inference.serving.errors import StartError, shown
from inference.serving.handlers import OldHandler, opening
from inference.serving.predictor import Predictor, Step, describe
from inference.serving.startup import variant

FILE = "code/handler.py"
_KIT_FOLDERS = {"deploy", "training", "inference", "infra"}
_CONVERSIONS: dict[str, Callable[[inputs.Instances], Any]] = {
    "numpy.ndarray": inputs.to_array,
    "torch.Tensor": inputs.to_tensor,
    "pandas.DataFrame": inputs.to_frame,
}


def load(model_dir: Path, threads: int = 0) -> Predictor | OldHandler:
    """Import the handler, make it, let it load, and return its steps, or the handler of another server that
    it is. StartError carries its exception.

    A lighter variant in the model's folder takes the model's place, to compute with so many `threads`; 0 are
    as many as torch has.
    """
    found = opening.load(model_dir, os.environ)
    if found is None:
        return _own(model_dir, threads)
    if variant.read(model_dir) is not None:
        raise StartError(f"{variant.NAME}: {found.shape} has no place for it; package with CHOOSE=none")
    return found


def _own(model_dir: Path, threads: int) -> Predictor:
    handler = _made(_handler_class(model_dir))
    load: Step = _step(handler, "load") or handler.load
    preprocess, postprocess = _step(handler, "preprocess"), _step(handler, "postprocess")
    predict: Step = _step(handler, "predict") or handler.predict
    streams = inspect.isgeneratorfunction(predict)
    if streams and postprocess is not None:
        raise StartError(
            f"{FILE}: Handler.predict is a generator, so its answer is sent piece by piece, and postprocess "
            "would have to wait for all of it; expected the correction in predict, and no postprocess"
        )
    conversion = _conversion(preprocess or predict)
    try:
        load(str(model_dir))
    except BaseException as error:  # sys.exit() in a handler ends the start as well
        raise StartError(f"{FILE}: load raised {describe(error)}; the model is not loaded") from error
    lighter = variant.apply(handler, model_dir, threads)
    predictor = Predictor(conversion, preprocess, predict, postprocess, _step(handler, "length"), streams)
    return variant.suited(predictor, lighter) if lighter else predictor


def _handler_class(model_dir: Path) -> Any:
    path = model_dir / FILE
    if not path.is_file():
        raise StartError(
            f"{path} is not there; expected inference/handler.py packaged as {FILE}, with a class Handler "
            "that has load and predict"
        )
    sys.path.insert(0, str(path.parent))
    handler = getattr(_imported(), "Handler", None)
    if not isinstance(handler, type):
        raise StartError(
            f"{FILE}: has no class Handler; expected one with load(model_dir) and predict(inputs)"
        )
    for name in ("load", "predict"):
        if not callable(getattr(handler, name, None)):
            raise StartError(f"{FILE}: class Handler has no {name}; load and predict are required")
    return handler


def _imported() -> Any:
    try:
        return importlib.import_module("handler")
    except SyntaxError as error:
        place = f"{Path(error.filename or FILE).name} line {error.lineno}"
        raise StartError(f"{FILE}: syntax error in {place}: {error.msg}") from error
    except ModuleNotFoundError as error:
        raise StartError(f"{FILE}: {error}; {_remedy(error.name or '')}") from error
    except BaseException as error:  # as above
        raise StartError(f"{FILE}: importing it raised {describe(error)}") from error


def _remedy(module: str) -> str:
    if module.partition(".")[0] in _KIT_FOLDERS:
        return "only what lies beside handler.py is shipped with it: put the module there"
    return "a package belongs in inference/requirements.txt, a module of yours beside handler.py"


def _made(handler: Any) -> Any:
    try:
        return handler()
    except BaseException as error:  # as above
        raise StartError(
            f"{FILE}: Handler() raised {describe(error)}; it is made without arguments"
        ) from error


def _step(handler: Any, name: str) -> Step | None:
    step: Step | None = getattr(handler, name, None)
    if step is None:
        return None
    if not callable(step):
        raise StartError(f"{FILE}: Handler.{name} is {shown(step)}; expected a method")
    if inspect.iscoroutinefunction(step) or inspect.isasyncgenfunction(step):
        raise StartError(f"{FILE}: Handler.{name} is async; expected a plain method")
    if inspect.isgeneratorfunction(step) and name != "predict":
        raise StartError(f"{FILE}: Handler.{name} is a generator, which predict alone may be")
    return step


def _conversion(step: Any) -> Callable[[inputs.Instances], Any]:
    """How instances are handed to the first step, by the annotation of its argument."""
    try:
        argument = next(iter(inspect.signature(step).parameters))
    except (StopIteration, ValueError, TypeError):
        raise StartError(
            f"{FILE}: Handler.{step.__name__} takes no argument; expected its instances"
        ) from None
    wanted = _annotation(step, argument)
    origin = get_origin(wanted) or wanted
    name = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', '')}"
    name = "pandas.DataFrame" if name.endswith(".DataFrame") and name.startswith("pandas.") else name
    if name in _CONVERSIONS:
        return _CONVERSIONS[name]
    if wanted in (None, Any) or (isinstance(origin, type) and issubclass(list, origin)):
        return inputs.to_list
    raise StartError(
        f"{FILE}: Handler.{step.__name__} takes {shown(wanted)}; "
        f"expected list, {', '.join(_CONVERSIONS)} or no annotation"
    )


def _annotation(step: Any, argument: str) -> Any:
    """The annotation of one argument, which `from __future__ import annotations` leaves as text."""
    function = inspect.unwrap(getattr(step, "__func__", step))
    wanted = getattr(function, "__annotations__", {}).get(argument)
    if not isinstance(wanted, str):
        return wanted
    try:
        return eval(wanted, getattr(function, "__globals__", {}))  # noqa: S307 - the user's own code, in their process
    except Exception as error:  # a name imported for type checkers alone, most often
        raise StartError(
            f"{FILE}: Handler.{step.__name__}: annotation {shown(wanted)}: {describe(error)}"
        ) from error
