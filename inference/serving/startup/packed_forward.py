"""The forward of a transformers encoder without its heads, asked with no padding: it packs a call's texts,
has the model's own answer, and unpacks that.

transformers lets attention be replaced by name, and takes the position of every token.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

NAME = "slipway-packed"
# Of the texts that are in one sequence now, so many tokens each.
_LENGTHS: ContextVar[tuple[int, ...]] = ContextVar("lengths")
# Arguments of a call that ask for nothing where they are False.
_OFF = {"output_attentions", "output_hidden_states", "use_cache"}
# What changes how a token attends, and is not known here.
_ODD = ("softcap", "s_aux", "position_bias")
_TYPES, _POOLED = "token_type_ids", "pooler_output"


class NotPacked(Exception):
    """Why a model, or one call of it, cannot be asked without padding: one line."""


def register() -> None:
    """Make the attention known to transformers; again is harmless."""
    transformers: Any = sys.modules["transformers"]
    transformers.AttentionInterface.register(NAME, _attention)
    transformers.AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def _attention(module: Any, query: Any, key: Any, value: Any, mask: Any, **others: Any) -> tuple[Any, None]:
    """Each text's tokens among themselves, as transformers asks it of an attention."""
    torch: Any = sys.modules["torch"]
    causal = others.get("is_causal")
    if getattr(module, "is_causal", False) if causal is None else causal:
        raise NotPacked("attends to what came before alone, as decoders do")
    if odd := [name for name in _ODD if others.get(name) is not None]:
        raise NotPacked(f"attends with {', '.join(odd)}, which is not known")
    window, scale = others.get("sliding_window"), others.get("scaling")
    grouped = query.shape[1] != key.shape[1]
    found = [
        torch.nn.functional.scaled_dot_product_attention(
            *text, attn_mask=_near(text[0], window), scale=scale, enable_gqa=grouped
        )
        for text in zip(*(one.split(_LENGTHS.get(), dim=2) for one in (query, key, value)), strict=True)
    ]
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


def _near(query: Any, window: int | None) -> Any:
    """Which tokens of a text see each other, where those far away do not; None where all do."""
    torch: Any = sys.modules["torch"]
    length = query.shape[2]
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=query.device)
    return (places[:, None] - places[None, :]).abs() < window


@dataclass(frozen=True)
class _Texts:
    """A call's texts: which places of its padded form are tokens, and how many each text has."""

    mask: Any
    lengths: tuple[int, ...]

    def packed(self, values: Any) -> Any:
        return values[self.mask][None]

    def positions(self, first: int) -> Any:
        return self.packed(self.mask.cumsum(1) - 1 + first)

    def unpacked(self, name: str, values: Any) -> Any:
        """An answer in the padded form, zero where padding is."""
        if tuple(getattr(values, "shape", ()))[:2] != (1, sum(self.lengths)):
            raise NotPacked(f"answers {name}, which is not one value for each token")
        padded = values.new_zeros(*self.mask.shape, *values.shape[2:])
        padded[self.mask] = values[0]
        return padded


class Forward:
    """In the place of `forward`, the one of `core`, where the first token's position is `first`."""

    def __init__(self, core: Any, forward: Callable[..., Any], first: int) -> None:
        self._forward, self._first = forward, first
        self._names = list(inspect.signature(forward).parameters)
        self._pooler = getattr(core, "pooler", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) > len(self._names):
            raise NotPacked("is called with more than it takes")
        given = dict(zip(self._names, args, strict=False)) | kwargs
        given = {name: value for name, value in given.items() if value is not None}
        ids, mask, types = (given.pop(name, None) for name in ("input_ids", "attention_mask", _TYPES))
        texts = _texts(ids, mask, types, given)
        asked = {} if types is None else {_TYPES: texts.packed(types)}
        before = _LENGTHS.set(texts.lengths)
        try:
            found = self._forward(
                input_ids=texts.packed(ids), position_ids=texts.positions(self._first), **asked
            )
        finally:
            _LENGTHS.reset(before)
        return self._unpacked(found, texts)

    def _unpacked(self, found: Any, texts: _Texts) -> Any:
        if not isinstance(found, Mapping):
            raise NotPacked(f"answers a {type(found).__name__}; expected transformers' ModelOutput")
        answer: Any = found
        for name in [name for name in answer if name != _POOLED]:
            answer[name] = texts.unpacked(name, answer[name])
        if _POOLED in answer:  # so far the first text's alone
            if self._pooler is None:
                raise NotPacked("pools its answer in a way that is not known")
            answer[_POOLED] = self._pooler(answer["last_hidden_state"])
        return answer


def _texts(ids: Any, mask: Any, types: Any, others: Mapping[str, Any]) -> _Texts:
    """The call's texts. NotPacked where it has others than plain ones, with padding on their right."""
    torch: Any = sys.modules["torch"]
    asked = [name for name, value in others.items() if not (value is False and name in _OFF)]
    if [name for name in asked if not (name == "return_dict" and others[name] is True)]:
        raise NotPacked(f"is called with {', '.join(asked)}")
    if ids is None or mask is None or ids.dim() != 2:
        raise NotPacked("is called without input_ids and attention_mask of rows")
    if mask.shape != ids.shape or (types is not None and types.shape != ids.shape):
        raise NotPacked("is called with a mask or types of another form than input_ids")
    lengths = mask.sum(1).long()
    is_token = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    counts = tuple(lengths.tolist())
    if not counts or min(counts) < 1 or not torch.equal(is_token.to(mask.dtype), mask):
        raise NotPacked("is called with a mask that is not ones, and zeros on the right")
    return _Texts(is_token, counts)
