"""Which torch module of a handler its samples go through, and the calls that they make of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inference.serving.predictor import Predictor

_AT_ONCE = 8


class NotOptimized(Exception):
    """Why a handler, or a kind, has no variant: one line for a person."""


@dataclass(frozen=True)
class Call:
    """What a call of the module was given, and what it answered."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any


@dataclass(frozen=True)
class Recording:
    """The handler's attribute that holds the module, the samples' calls of it, and what was left alone."""

    attribute: str
    module: Any
    calls: list[Call]
    others: tuple[str, ...] = ()


def handler_of(predictor: Predictor) -> Any:
    """The user's own object behind the steps."""
    handler = getattr(predictor.predict, "__self__", None)
    if handler is None:
        raise NotOptimized("Handler.predict is no method of an object, so there is no attribute to replace")
    return handler


def record(predictor: Predictor, instances: list[Any]) -> Recording:
    """Have the instances answered, alone and together, and note how the module is called.

    Of several modules that are called, the one with most parameters. NotOptimized where there is none.
    """
    torch: Any = sys.modules.get("torch")
    handler = handler_of(predictor)
    modules = {
        name: value
        for name, value in (vars(handler) if hasattr(handler, "__dict__") else {}).items()
        if torch is not None and isinstance(value, torch.nn.Module)
    }
    if not modules:
        raise NotOptimized(
            "the handler has no torch module after load; expected one in an attribute, as self.model"
        )
    calls: dict[str, list[Call]] = {name: [] for name in modules}
    hooks = [_listen(module, calls[name].append) for name, module in modules.items()]
    try:
        for batch in _batches(instances):
            predictor.predictions(batch, {})
    finally:
        for hook in hooks:
            hook.remove()
    return _chosen(modules, calls)


def _batches(instances: list[Any]) -> list[list[Any]]:
    """Batches of several sizes and orders, so that what changes from call to call is seen to change."""
    some = (instances * _AT_ONCE)[: max(2 * _AT_ONCE, min(len(instances), 32))]
    alone = [[one] for one in some[:3]]
    return [*alone, some[:2], some[2:5], some[:_AT_ONCE], some[: _AT_ONCE - 1][::-1]]


def _listen(module: Any, tell: Callable[[Call], None]) -> Any:
    def note(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        tell(Call(_own(args), _own(kwargs), answer))

    return module.register_forward_hook(note, with_kwargs=True)


def _own(tree: Any) -> Any:
    """The same with tensors that nobody else changes, and that a trace may be made from."""
    torch: Any = sys.modules["torch"]
    with torch.inference_mode(False):
        return torch.utils._pytree.tree_map_only(torch.Tensor, lambda one: one.detach().clone(), tree)


def _chosen(modules: dict[str, Any], calls: dict[str, list[Call]]) -> Recording:
    called = [name for name in modules if calls[name]]
    if not called:
        raise NotOptimized(
            f"no sample calls {' or '.join(f'self.{name}' for name in modules)} itself; expected "
            "self.model(…) in the handler"
        )
    name = max(called, key=lambda one: sum(weight.numel() for weight in modules[one].parameters()))
    return Recording(name, modules[name], calls[name], tuple(one for one in called if one != name))
