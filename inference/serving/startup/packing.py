"""A transformers encoder asked without padding: a call's texts as one sequence, each attending to itself.

Whether a model answers alike when it is asked so is tried, on made-up texts, before it may: nothing here
knows one by its name.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inference.serving.startup.packed_forward import NAME, Forward, NotPacked, register

# Tokens of the made-up texts, and what a longer one may have, to reach beyond a window of attention.
_SHORT = (3, 1, 5)
_LONG = 300


class Packed:
    """In the model's place: `view` has its weights and is asked without padding; a call that cannot be goes
    to `fallback`. Whatever else is asked of it is the model's own."""

    def __init__(self, model: Any, view: Any, fallback: Callable[..., Any]) -> None:
        self._model, self._view, self._fallback = model, view, fallback

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._model.training:
            try:
                return self._view(*args, **kwargs)
            except NotPacked:
                pass
        return self._fallback(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def view(model: Any, long: bool = False) -> Any:
    """A second view of the model, of the same weights, whose calls are packed: it answers as the model does,
    or raises NotPacked. `long` tries it with long texts, too, which takes time.

    NotPacked where there can be none. The model itself stays as it is.
    """
    _check(model)
    register()
    shared = {id(one): one for one in [*model.parameters(), *model.buffers()]}
    found = copy.deepcopy(model, shared)
    found.set_attn_implementation(NAME)
    core = found.base_model
    if core.config._attn_implementation != NAME:
        raise NotPacked(f"{type(model).__name__}: its attention cannot be replaced")
    padding = getattr(core.config, "pad_token_id", None) or 0
    example = _Example(model, padding, _lengths(core.config) if long else _SHORT)
    forward = core.forward
    for first in dict.fromkeys((0, padding + 1)):  # some count positions from behind the padding's number
        core.forward = Forward(core, forward, first)
        if example.is_answered_alike(found):
            return found
    raise NotPacked(f"{type(model).__name__} answers otherwise when it is asked without padding")


def _check(model: Any) -> None:
    transformers: Any = sys.modules.get("transformers")
    name = type(model).__name__
    if transformers is None or not isinstance(model, transformers.PreTrainedModel):
        raise NotPacked(f"{name} is no model of transformers, which is what can be asked without padding")
    if model.config.is_encoder_decoder or getattr(model.config, "is_decoder", False):
        raise NotPacked(f"{name} is a decoder; expected an encoder")
    if model.training:
        raise NotPacked(f"{name} is in training mode; expected self.model.eval() in load")
    taken = inspect.signature(model.base_model.forward).parameters
    missing = [one for one in ("input_ids", "attention_mask", "position_ids") if one not in taken]
    if missing:
        raise NotPacked(f"{name} takes no {', '.join(missing)}")


def _lengths(config: Any) -> tuple[int, ...]:
    """Of texts that are longer together than one may be, where that is not long."""
    most = int(getattr(config, "max_position_embeddings", 0) or _LONG)
    return (*_SHORT, *2 * (max(1, min(_LONG, most - 2 * len(_SHORT))),))


class _Example:
    """Made-up texts of these lengths, and what the model answers to them."""

    def __init__(self, model: Any, padding: int, lengths: Sequence[int]) -> None:
        torch: Any = sys.modules["torch"]
        chance = torch.Generator().manual_seed(0)
        ids = torch.randint(model.config.vocab_size, (len(lengths), max(lengths)), generator=chance)
        ids[ids == padding] = padding + 1 if padding + 1 < model.config.vocab_size else 0
        self._is_token = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        ids[~self._is_token] = padding
        self._asked = {"input_ids": ids, "attention_mask": self._is_token.long()}
        self._asked = {name: value.to(model.device) for name, value in self._asked.items()}
        self._right = self._answer(model)

    def is_answered_alike(self, view: Any) -> bool:
        found = self._answer(view)
        if not found or found.keys() != self._right.keys():
            return False
        return all(_alike(found[name], right) for name, right in self._right.items())

    def _answer(self, model: Any) -> dict[str, Any]:
        """The tensors of the answer, without what stands at padding."""
        torch: Any = sys.modules["torch"]
        with torch.inference_mode():
            return dict(self._tensors(model(**self._asked)))

    def _tensors(self, answer: Any) -> Iterator[tuple[str, Any]]:
        shape = self._is_token.shape
        for name, value in answer.items() if isinstance(answer, Mapping) else ():
            if hasattr(value, "shape"):
                yield name, value[self._is_token] if value.shape[:2] == shape else value


def _alike(found: Any, right: Any) -> bool:
    """Whether two tensors are one but for half of the digits that they have."""
    torch: Any = sys.modules["torch"]
    if found.shape != right.shape or not right.is_floating_point():
        return bool(torch.equal(found, right))
    apart = torch.finfo(right.dtype).eps ** 0.5 * float(right.abs().max())
    return bool((found - right).abs().max() <= apart)
