"""What one Python file could be to the server, told from its text alone: nothing of the user's runs here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

_SLIPWAY_FILE = "handler.py"
_SAGEMAKER_FILE = "inference.py"
# One is enough: AWS's PyTorch image, say, brings the others.
_SAGEMAKER = ("model_fn", "transform_fn", "predict_fn", "input_fn", "output_fn")
_TORCHSERVE = "ts."
_VERTEX = "google.cloud.aiplatform"


class Shape(Enum):
    """Whose handler it is, in the words that the log and the errors use."""

    SLIPWAY = "Slipway's Handler"
    SAGEMAKER = "SageMaker's functions"
    VERTEX = "a Vertex AI Predictor"
    VERTEX_HANDLER = "a Vertex AI Handler"
    TORCHSERVE = "a TorchServe handler"
    ENDPOINT_HANDLER = "a Hugging Face EndpointHandler"
    PIPELINE = "a Hugging Face pipeline"
    TORCHSCRIPT = "a TorchScript model"


@dataclass(frozen=True)
class Reading:
    """One way to take a file: `name` is the class or function, "" where the whole file is meant.

    One that is not `sure` counts only where no other is: a sibling module may look like it by chance.
    """

    shape: Shape
    file: str
    line: int
    name: str = ""
    sure: bool = True

    @property
    def choice(self) -> str:
        """What says that this one is meant."""
        return f"{self.file}{f':{self.name}' if self.name else ''}"

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}" if self.line else self.file
        return f"{where}: {self.shape.value}{f' ({self.name})' if self.name else ''}"


@dataclass
class _Bound:
    """The names that a file binds at its top level, with their lines, and where imported ones are from."""

    lines: dict[str, int] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    classes: list[ast.ClassDef] = field(default_factory=list)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)


def read(file: str, text: bytes, program: str = _SAGEMAKER_FILE) -> list[Reading]:
    """All readings of a file's text; `program` is the file that SageMaker takes. SyntaxError as it is."""
    bound = _bound(ast.parse(text))
    found = [*_by_name(file, bound, program), *_classes(file, bound)]
    handle = bound.functions.get("handle")
    if handle is not None and len(handle.args.args) > 1:
        found.append(Reading(Shape.TORCHSERVE, file, handle.lineno, "handle", sure=False))
    return found


def _by_name(file: str, bound: _Bound, program: str) -> Iterator[Reading]:
    """What is known by the names that a file binds, whether it defines or imports them."""
    if file == _SLIPWAY_FILE:
        if "Handler" in bound.lines and not _is_foreign("Handler", bound):
            yield Reading(Shape.SLIPWAY, file, bound.lines["Handler"], "Handler")
        if "EndpointHandler" in bound.lines:
            yield Reading(Shape.ENDPOINT_HANDLER, file, bound.lines["EndpointHandler"], "EndpointHandler")
    first = next((name for name in _SAGEMAKER if name in bound.lines), None)
    if first is not None:
        yield Reading(Shape.SAGEMAKER, file, bound.lines[first], sure=file == program)


def _classes(file: str, bound: _Bound) -> Iterator[Reading]:
    """What is known by a class's base or methods; one that another of the file builds on is no entry."""
    built_on = {_origin(base, {}) for node in bound.classes for base in node.bases}
    for node in bound.classes:
        shape = _foreign(node, bound)
        if shape is not None and node.name not in built_on:
            yield Reading(shape, file, node.lineno, node.name, sure=_by_base(node, bound) is not None)


def _is_foreign(name: str, bound: _Bound) -> bool:
    node = next((node for node in bound.classes if node.name == name), None)
    if node is not None:
        return _foreign(node, bound) is not None
    return bound.origins.get(name, "").startswith((_TORCHSERVE, _VERTEX))


def _foreign(node: ast.ClassDef, bound: _Bound) -> Shape | None:
    """Whose class it is, if it is not Slipway's."""
    by_base = _by_base(node, bound)
    methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    if by_base is None and {"initialize", "handle"} <= methods and not {"load", "predict"} <= methods:
        return Shape.TORCHSERVE
    return by_base


def _by_base(node: ast.ClassDef, bound: _Bound, seen: frozenset[str] = frozenset()) -> Shape | None:
    for base in node.bases:
        origin = _origin(base, bound.origins)
        if origin.startswith(_TORCHSERVE):
            return Shape.TORCHSERVE
        if origin.startswith(_VERTEX):
            return Shape.VERTEX_HANDLER if origin.endswith("Handler") else Shape.VERTEX
        own = next((other for other in bound.classes if other.name == origin), None)
        if own is not None and own.name not in seen and (shape := _by_base(own, bound, seen | {node.name})):
            return shape
    return None


def _origin(expression: ast.expr, origins: dict[str, str]) -> str:
    """The dotted name of a base class, its first part as it was imported."""
    if isinstance(expression, ast.Attribute):
        return f"{_origin(expression.value, origins)}.{expression.attr}"
    if isinstance(expression, ast.Name):
        return origins.get(expression.id, expression.id)
    return ""


def _bound(tree: ast.Module) -> _Bound:
    bound = _Bound()
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef):
            bound.classes.append(node)
            bound.lines[node.name] = node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bound.functions[node.name] = node
            bound.lines[node.name] = node.lineno
        elif isinstance(node, ast.Assign):
            targets = [target for target in node.targets if isinstance(target, ast.Name)]
            bound.lines.update({target.id: node.lineno for target in targets})
        elif isinstance(node, ast.Import | ast.ImportFrom):
            _add_import(node, bound)
    return bound


def _add_import(node: ast.Import | ast.ImportFrom, bound: _Bound) -> None:
    for alias in node.names:
        name = alias.asname or alias.name.partition(".")[0]
        if isinstance(node, ast.ImportFrom):
            origin = f"{node.module or ''}.{alias.name}"
        else:
            origin = alias.name if alias.asname else name
        bound.origins[name] = origin
        bound.lines[name] = node.lineno


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's statements, with those that stand under an if or in a try."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handlers = [statement for handler in node.handlers for statement in handler.body]
            yield from _statements([*node.body, *handlers, *node.orelse, *node.finalbody])
