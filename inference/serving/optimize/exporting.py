"""A module as a graph, by torch.export, with the axes left open that change from call to call."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from inference.serving.optimize.recording import Call, NotOptimized, Recording
from inference.serving.startup.variant import Form, Leaf

_PLAIN = (bool, int, float, str, type(None))
# One axis of one leaf: their places.
_Axis = tuple[int, int]


@dataclass(frozen=True)
class Exported:
    """torch's own ExportedProgram, and the form of the calls that it takes."""

    program: Any
    form: Form


@dataclass(frozen=True)
class _Calls:
    """The calls as leaves: those of the one that the graph is made from, and the axes that change, those
    that change alike under one number."""

    example: Call
    leaves: list[Any]
    groups: dict[_Axis, int]


def exported(recording: Recording) -> Exported:
    """The module's graph. NotOptimized, or whatever torch.export raises, where there is none."""
    calls = _compared(recording.calls)
    torch: Any = sys.modules["torch"]
    hints = dict.fromkeys(calls.groups, torch.export.Dim.AUTO)
    bounds = _bounds(_program(recording, calls, hints), calls)
    try:
        program = _program(recording, calls, _dimensions(bounds, calls))
        least = 1
    except Exception:  # the graph is another one for an axis of 1
        program, least = _program(recording, calls, hints), 2
    return Exported(program, _form(calls, {axis: (least, most) for axis, most in bounds.items()}))


def _compared(calls: list[Call]) -> _Calls:
    trees: Any = sys.modules["torch"].utils._pytree
    flat = [trees.tree_flatten((call.args, call.kwargs)) for call in calls]
    if any(spec != flat[0][1] for _, spec in flat):
        raise NotOptimized("the samples call the model with arguments of different kinds")
    columns = list(zip(*(leaves for leaves, _ in flat), strict=True))
    sizes = {
        (leaf, axis): found
        for leaf, column in enumerate(columns)
        for axis, found in _changing(column, leaf).items()
    }
    numbers = {found: number for number, found in enumerate(dict.fromkeys(sizes.values()))}
    best = max(range(len(calls)), key=lambda one: _tells_apart(sizes, one))
    return _Calls(calls[best], flat[best][0], {axis: numbers[found] for axis, found in sizes.items()})


def _changing(column: tuple[Any, ...], leaf: int) -> dict[int, tuple[int, ...]]:
    """The sizes over all calls of each axis that changes. NotOptimized where something else does."""
    torch: Any = sys.modules["torch"]
    if not all(isinstance(one, torch.Tensor) for one in column):
        if not all(isinstance(one, _PLAIN) and one == column[0] for one in column):
            raise NotOptimized(f"argument {leaf + 1} of the model is no tensor and changes from call to call")
        return {}
    if len({(one.dtype, one.dim()) for one in column}) > 1:
        raise NotOptimized(f"argument {leaf + 1} of the model is of another form from call to call")
    if column[0].device.type != "cpu":
        raise NotOptimized("the model is not on the processor")
    sizes = zip(*(one.shape for one in column), strict=True)
    return {axis: tuple(found) for axis, found in enumerate(sizes) if len(set(found)) > 1}


def _tells_apart(sizes: dict[_Axis, tuple[int, ...]], call: int) -> tuple[int, int]:
    """How good a call is to make the graph from: an axis of 1 would be taken for fixed, and two axes of one
    size for the same."""
    found = [column[call] for column in dict.fromkeys(sizes.values())]
    return sum(size > 1 for size in found), len(set(found))


def _program(recording: Recording, calls: _Calls, dimensions: dict[_Axis, Any]) -> Any:
    torch: Any = sys.modules["torch"]
    shapes = torch.export.ShapesCollection()
    for leaf, tensor in enumerate(calls.leaves):
        own = {axis: dimension for (place, axis), dimension in dimensions.items() if place == leaf}
        if own:
            shapes[tensor] = own
    module, args, kwargs = recording.module, calls.example.args, calls.example.kwargs
    with torch.no_grad():
        given = shapes.dynamic_shapes(module, args, kwargs) if dimensions else None
        return torch.export.export(module, args, kwargs, dynamic_shapes=given, strict=False)


def _bounds(program: Any, calls: _Calls) -> dict[_Axis, int | None]:
    """The most that each open axis may be; one that the model itself fixes is left out."""
    most: dict[int, int | None] = {}
    shapes = _shapes(program, calls)
    fixed = {number for axis, number in calls.groups.items() if isinstance(shapes[axis], int)}
    for axis, number in calls.groups.items():
        if number not in fixed:
            known_range = program.range_constraints.get(shapes[axis].node.expr)
            upper = int(known_range.upper) if known_range and known_range.upper.is_Integer else None
            known = [one for one in (upper, most.get(number)) if one is not None]
            most[number] = min(known, default=None)
    return {axis: most[number] for axis, number in calls.groups.items() if number not in fixed}


def _shapes(program: Any, calls: _Calls) -> dict[_Axis, Any]:
    """The size of every axis that changes, as the graph has it."""
    # By their names; a constant stands there itself.
    inputs = program.graph_signature.user_inputs
    if len(inputs) != len(calls.leaves):
        raise NotOptimized("the graph has not as many inputs as the model has arguments")
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    return {(leaf, axis): nodes[inputs[leaf]].meta["val"].shape[axis] for leaf, axis in calls.groups}


def _dimensions(bounds: dict[_Axis, int | None], calls: _Calls) -> dict[_Axis, Any]:
    """One dimension for all axes that change alike, from 1 on."""
    torch: Any = sys.modules["torch"]
    made: dict[int, Any] = {}
    for axis, most in bounds.items():
        number = calls.groups[axis]
        if number not in made:
            made[number] = torch.export.Dim(f"axis{number}", min=1, max=most)
    return {axis: made[calls.groups[axis]] for axis in bounds}


def _form(calls: _Calls, bounds: dict[_Axis, tuple[int, int | None]]) -> Form:
    torch: Any = sys.modules["torch"]
    trees = torch.utils._pytree
    _, arguments = trees.tree_flatten((calls.example.args, calls.example.kwargs))
    answer, spec = trees.tree_flatten(calls.example.answer)
    tensors = tuple(place for place, one in enumerate(answer) if isinstance(one, torch.Tensor))
    constants = tuple(one for one in answer if not isinstance(one, torch.Tensor))
    if not all(isinstance(one, _PLAIN) for one in constants):
        raise NotOptimized("the model answers something that is neither tensors nor plain values")
    leaves = tuple(_leaf(place, one, bounds) for place, one in enumerate(calls.leaves))
    return Form(trees.treespec_dumps(arguments), leaves, trees.treespec_dumps(spec), tensors, constants)


def _leaf(place: int, value: Any, bounds: dict[_Axis, tuple[int, int | None]]) -> Leaf:
    torch: Any = sys.modules["torch"]
    if not isinstance(value, torch.Tensor):
        return Leaf(constant=value)
    axes = tuple(bounds.get((place, axis), (size, size)) for axis, size in enumerate(value.shape))
    return Leaf(str(value.dtype), axes)
