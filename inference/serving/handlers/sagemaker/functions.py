"""A handler's functions and, where one is missing, its image's: what loads the model, and what answers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers.sagemaker.context import Context
from inference.serving.handlers.sagemaker.image import Function, Image
from inference.serving.handlers.starting import called

# How many arguments each takes; all may take the context as one more.
_ARGUMENTS = {
    "pre_model_fn": 1,
    "model_fn": 1,
    "model_warmup_fn": 2,
    "transform_fn": 4,
    "input_fn": 2,
    "predict_fn": 2,
    "output_fn": 2,
}
_THREE = ("input_fn", "predict_fn", "output_fn")


@dataclass(frozen=True)
class Functions:
    """What the entry file defines, by name, each taking its arguments without the context."""

    file: str
    own: dict[str, Function]
    image: Image

    def model(self, model_dir: str) -> Any:
        """The loaded and warmed-up model; StartError carries what a function raised."""
        if "pre_model_fn" in self.own:
            called(f"{self.file}: pre_model_fn", self.own["pre_model_fn"], model_dir)
        model = called(f"{self.file}: model_fn", self._function("model_fn"), model_dir)
        if "model_warmup_fn" in self.own:
            called(f"{self.file}: model_warmup_fn", self.own["model_warmup_fn"], model_dir, model)
        return model

    def transform(self) -> Function:
        """From model, body, content type and accept to the result that is answered."""
        if "transform_fn" in self.own:
            return self.own["transform_fn"]
        read, predict, write = (self._function(name) for name in _THREE)

        def in_three_steps(model: Any, body: Any, content_type: Any, accept: Any) -> Any:
            return write(predict(read(body, content_type), model), accept)

        return in_three_steps

    def _function(self, name: str) -> Function:
        function = self.own.get(name) or self.image.defaults.get(name)
        if function is None:
            image = f"the {self.image.name} image" if self.image.name else "AWS's toolkit"
            instead = " or transform_fn" if name in _THREE else ""
            raise StartError(f"{self.file}: has no {name}{instead}, and {image} brings none")
        return function


def functions(module: Any, context: Context, image: Image) -> Functions:
    """The functions that an imported entry file defines. StartError where they do not go together."""
    path = Path(module.__file__)
    defined = {name: found for name in _ARGUMENTS if (found := getattr(module, name, None))}
    beside = [name for name in _THREE if name in defined]
    if "transform_fn" in defined and beside:
        raise StartError(
            f"{path.name}: line {_line(defined['transform_fn'])} defines transform_fn and line "
            f"{_line(defined[beside[0]])} {beside[0]}; expected transform_fn alone, or "
            f"{', '.join(_THREE)} without it"
        )
    own = {name: _bound(f"{path.name}: {name}", found, name, context) for name, found in defined.items()}
    return Functions(path.name, own, image)


def _bound(place: str, function: Any, name: str, context: Context) -> Function:
    expected = _ARGUMENTS[name]
    try:
        found = len(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise StartError(f"{place}: {error}; expected a function") from error
    if found == expected:
        checked: Function = function
        return checked
    if found == expected + 1:
        return lambda *arguments: function(*arguments, context)
    raise StartError(
        f"{place}: line {_line(function)} takes {found} arguments; expected {expected}, or {expected + 1} "
        "with the context"
    )


def _line(function: Any) -> int | str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_firstlineno if code else "?"
